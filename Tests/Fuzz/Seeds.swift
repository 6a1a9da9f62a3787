// SPDX-License-Identifier: Apache-2.0
// Inputs to begin with, written into the first directory on the command line: the fuzzer would take
// long to invent a reply of its own.

import CPlatform
import Foundation
import TestSupport

@testable import StreamReading

/// What a run feeds: the row parser, what takes small replies, lists and steering, messages, or
/// what takes stored streams.
enum FuzzTarget: String {
    case rows, replies, lists, messages, snapshots

    static let ofThisRun =
        ProcessInfo.processInfo.environment["REDCOL_FUZZ_TARGET"]
        .flatMap(FuzzTarget.init(rawValue:)) ?? .rows

    fileprivate var seeds: [[UInt8]] {
        switch self {
        case .rows: rowSeeds()
        case .replies: replySeeds()
        case .lists: listSeeds()
        case .messages: messageSeeds()
        case .snapshots: snapshotSeeds()
        }
    }
}

func platformLiveObjects() -> Int64 { platform_live_objects() }

/// Called once before the first input, with the command line.
@c(LLVMFuzzerInitialize)
public func initialize(
    _ count: UnsafeMutablePointer<Int32>?,
    _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> Int32 {
    guard let count, let words = words?.pointee else { return 0 }
    let arguments = (1..<Int(count.pointee)).compactMap { words[$0].map { String(cString: $0) } }
    var isDirectory: ObjCBool = false
    guard let directory = arguments.first(where: { !$0.hasPrefix("-") }),
        FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory),
        isDirectory.boolValue
    else { return 0 }
    for (number, seed) in FuzzTarget.ofThisRun.seeds.enumerated() {
        let file = URL(fileURLWithPath: directory).appendingPathComponent("seed-\(number)")
        try? Data(seed).write(to: file)
    }
    return 0
}

private func rowSeeds() -> [[UInt8]] {
    var seeds: [[UInt8]] = []
    for seed in 0..<24 {
        var generator = SeededGenerator(UInt64(seed))
        let entries = SampleEntry.random(
            1 + generator.below(5), using: &generator, deletedOnceIn: seed % 3 == 0 ? 3 : nil)
        let reply = Resp.entries(entries)
        let piece: UInt8 = generator.pick([0, 6, 63, 255])
        let flags = UInt8(truncatingIfNeeded: seed)
        let rows = UInt8(generator.below(4))
        seeds.append([flags, 2, piece, rows, 200] + reply)
        let streams = Resp.array([Resp.array([Resp.bulk(utf8("s")), reply])])
        seeds.append([flags, 0, piece, rows, 200] + streams)
        let claimed = Resp.array([Resp.bulk(utf8("1-1")), reply, Resp.strings([utf8("1-2")])])
        seeds.append([flags, 1, piece, rows, 200] + claimed)
    }
    let small = [
        "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$2\r\n-5\r\n", "*-1\r\n", "*0\r\n",
        "-ERR no\r\n",
        "*1\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n",
        "*1\r\n*2\r\n$41\r\n18446744073709551615-18446744073709551614\r\n*0\r\n",
        "*2\r\n*-1\r\n$-1\r\n", ":1\r\n", "$536870912\r\n",
        "*2147483647\r\n",
    ]
    // In a field that the schema of odd modes reads as JSON.
    let texts = [
        "{\"n\":1,\"t\":\"\\u00e9\\ud83d\\ude00\\n\",\"l\":[{\"n\":-2},null,{}]}",
        "{\"l\":[{\"t\":\"longer than the view has room for\"}],\"l\":[],\"n\":1.5,\"n\":2}",
        "{\"x\":[[{\"y\":[true,false,null,-0.5e+3]}],{}],\"n\":null}", "[1]", "null", "{\"n\":",
    ]
    for (number, text) in texts.enumerated() {
        let entry =
            "*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\nj\r\n$\(text.utf8.count)\r\n\(text)\r\n"
            + "$1\r\nj\r\n$4\r\nnull\r\n"
        seeds.append([UInt8(1 + number % 2 * 2), 2, 255, 0, 200] + utf8(entry))
        let one = entry.replacing("*4\r\n", with: "*2\r\n")
        seeds.append([UInt8(1 + number % 2 * 2), 2, 6, 0, 200] + utf8(one))
    }
    return seeds + small.map { [0, 2, 255, 0, 200] + utf8($0) }
}
