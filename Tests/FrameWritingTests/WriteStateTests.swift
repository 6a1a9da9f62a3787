// SPDX-License-Identifier: Apache-2.0
// Every event in every state of a write.

import RedcolBase
import Testing

@testable import FrameWriting

private let first = RedcolError(.value, "first")
private let second = RedcolError(.server, "second")

/// A state as text, errors by their messages.
private func shown(_ state: WriteState) -> String {
    func shown(_ ending: WriteState.Ending) -> String {
        switch ending {
        case .failed(let error): return "failed \(error.message)"
        case .stopped(let error): return error.map { "stopped \($0.message)" } ?? "stopped"
        }
    }
    switch state {
    case .connecting(let notBefore): return notBefore.map { "connecting at \($0)" } ?? "connecting"
    case .probing(let count): return "probing \(count)"
    case .writing: return "writing"
    case .confirming: return "confirming"
    case .draining(let ending, 0): return "draining \(shown(ending))"
    case .draining(let ending, let probes): return "draining \(shown(ending)), probes \(probes)"
    case .finished(let ending): return ending.map { "finished \(shown($0))" } ?? "finished"
    case .closed: return "closed"
    }
}

/// All states, each with all endings that it can have.
private let states: [WriteState] = [
    .connecting(notBefore: nil), .connecting(notBefore: 5), .probing(answersLeft: 2),
    .probing(answersLeft: 1), .writing, .confirming,
    .draining(.failed(first), probesLeft: 0), .draining(.failed(first), probesLeft: 1),
    .draining(.stopped(nil), probesLeft: 0), .draining(.stopped(nil), probesLeft: 2),
    .draining(.stopped(first), probesLeft: 0),
    .finished(nil), .finished(.failed(first)), .finished(.stopped(nil)),
    .finished(.stopped(first)), .closed,
]

@Suite struct WriteStateTests {
    /// Does `event` in each state, and compares what changes; a state that is not named stays.
    private func expect(
        _ changes: [String: String], _ location: SourceLocation = #_sourceLocation,
        _ event: (inout WriteState) -> Void
    ) {
        var named: Set<String> = []
        for before in states {
            var state = before
            event(&state)
            let expected = changes[shown(before)] ?? shown(before)
            #expect(shown(state) == expected, "in \(shown(before))", sourceLocation: location)
            named.insert(shown(before))
        }
        #expect(named.isSuperset(of: changes.keys), sourceLocation: location)
    }

    @Test func connected() {
        expect(["connecting": "probing 2", "connecting at 5": "probing 2"]) {
            $0.connected(probes: 2)
        }
        expect(["connecting": "writing", "connecting at 5": "writing"]) { $0.connected(probes: 0) }
    }

    @Test func probes() {
        let answered = [
            "probing 2": "probing 1", "probing 1": "writing",
            "draining failed first, probes 1": "draining failed first",
            "draining stopped, probes 2": "draining stopped, probes 1",
        ]
        expect(answered) { $0.probeAnswered(nil) }
        let refused = [
            "probing 2": "draining failed second, probes 1", "probing 1": "draining failed second",
            "draining failed first, probes 1": "draining failed first",
            "draining stopped, probes 2": "draining stopped second, probes 1",
        ]
        expect(refused) { $0.probeAnswered(second) }
    }

    @Test func theFrameEnds() {
        expect(["writing": "confirming"]) { $0.frameEnded() }
    }

    @Test func failing() {
        let changes = [
            "connecting": "draining failed second", "connecting at 5": "draining failed second",
            "probing 2": "draining failed second, probes 2",
            "probing 1": "draining failed second, probes 1",
            "writing": "draining failed second", "confirming": "draining failed second",
            "draining stopped": "draining stopped second",
            "draining stopped, probes 2": "draining stopped second, probes 2",
        ]
        expect(changes) { $0.fail(second) }
    }

    @Test func stopping() {
        let changes = [
            "connecting": "finished stopped", "connecting at 5": "finished stopped",
            "probing 2": "draining stopped, probes 2", "probing 1": "draining stopped, probes 1",
            "writing": "draining stopped", "confirming": "draining stopped",
            "draining failed first": "draining stopped first",
            "draining failed first, probes 1": "draining stopped first, probes 1",
        ]
        expect(changes) { $0.stop() }
    }

    @Test func tryingAgain() {
        var changes: [String: String] = [:]
        for state in states where state.mayTryAgain { changes[shown(state)] = "connecting at 7" }
        #expect(changes.count == 6)
        expect(changes) { $0.tryAgain(notBefore: 7) }
    }

    @Test func everythingIsAnswered() {
        let changes = [
            "confirming": "finished", "draining failed first": "finished failed first; 3 written",
            "draining stopped": "finished stopped",
            "draining stopped first": "finished stopped first; 3 written",
        ]
        expect(changes) {
            let isOver = $0.allAnswered(WriteState.Progress(words: "; 3 written"))
            #expect(isOver == $0.isOver)
        }
    }

    @Test func theConnectionIsGone() {
        let changes = [
            "draining failed first": "finished failed first!",
            "draining failed first, probes 1": "finished failed first!",
            "draining stopped": "finished stopped",
            "draining stopped, probes 2": "finished stopped",
            "draining stopped first": "finished stopped first!",
        ]
        expect(changes) { $0.connectionGone(WriteState.Progress(words: "!")) }
    }

    @Test func closing() {
        var changes: [String: String] = [:]
        for state in states { changes[shown(state)] = "closed" }
        expect(changes) { $0.close() }
    }

    @Test func whatIsAskedOfAState() {
        func names(_ holds: (WriteState) -> Bool) -> [String] { states.filter(holds).map(shown) }
        let over = names { $0.isOver }
        let ends = ["finished", "finished failed first", "finished stopped"]
        #expect(over == ends + ["finished stopped first", "closed"])
        let awaiting = names { $0.awaitsRows }
        let draining = ["draining failed first", "draining stopped", "draining stopped first"]
        #expect(awaiting == ["writing", "confirming"] + draining)
        let stopped = names { $0.isStopped }
        #expect(stopped.count == 5)
        #expect(stopped.allSatisfy { $0.contains("stopped") })
        let failed = names { $0.error != nil }
        #expect(failed.count == 5)
        #expect(failed.allSatisfy { $0.contains("first") })
        let probes = states.map { $0.probesLeft }.filter { $0 > 0 }
        #expect(probes == [2, 1, 1, 2])
    }
}
