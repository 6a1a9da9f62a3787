// SPDX-License-Identifier: Apache-2.0
// What stands behind the opaque pointers of the C interface: one class each, with a mark that tells
// them apart, since C can pass any of them anywhere.

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase
import RedisConnection
import RedisTopology
import StreamInspection
import StreamReading

/// Anything that redcol_free takes.
class Handle {
    enum Kind { case client, iter, writer, table, credentials, error }

    /// The first field: `live` until the handle is freed, also if something else still holds it.
    /// What is there afterwards is seldom the same.
    private final var mark = Handle.live
    private static var live: UInt64 { 0x6C6F_6364_6572_FEED }
    /// Where it is: after the two words that every object begins with.
    private static var markOffset: Int { 16 }

    final let kind: Kind

    init(_ kind: Kind) {
        self.kind = kind
        platform_live_objects_add(1)
    }

    deinit { platform_live_objects_add(-1) }

    /// This object as the pointer that a caller owns; `release` takes it back.
    final func retainedPointer() -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(self).toOpaque())
    }

    /// The handle at `pointer`; nil if it was seen to be freed.
    static func borrowed(_ pointer: UnsafeRawPointer) -> Handle? {
        guard pointer.load(fromByteOffset: markOffset, as: UInt64.self) == live else { return nil }
        return Unmanaged<Handle>.fromOpaque(pointer).takeUnretainedValue()
    }

    static func release(_ pointer: UnsafeMutableRawPointer) {
        guard let handle = borrowed(pointer) else { return }
        pointer.storeBytes(of: 0, toByteOffset: markOffset, as: UInt64.self)
        if handle.discardAbandoned() {
            platform_live_objects_add(-1)
        } else {
            Unmanaged<Handle>.fromOpaque(pointer).release()
        }
    }

    /// If a call that will never end still holds this: frees what is large, and is true.
    func discardAbandoned() -> Bool { false }
}

/// redcol_client
final class ClientHandle: Handle {
    let topology: Topology
    private let locked: Lock
    /// Connections on which a call of this client waits, for cancelling.
    private var waiting: [Connection] = []
    private var isCancelled = false
    private(set) var isClosed = false
    private var unfinishedQuestions = UnfinishedCalls<AskedQuestion>()
    private var unfinishedReads = UnfinishedCalls<UnfinishedRead>()
    private var numbersGiven = 0

    static func make(_ topology: Topology) throws(RedcolError) -> ClientHandle {
        ClientHandle(topology, try Lock(for: "a client"))
    }

    private init(_ topology: Topology, _ lock: consuming Lock) {
        self.topology = topology
        locked = lock
        super.init(.client)
    }

    deinit { topology.close() }

    /// Asks on a connection that `cancel` reaches. After a signal, the same question continues
    /// where it was. `total`: how many entries were acknowledged is added, also with an error.
    func ask(_ question: inout Question, _ total: inout Int64) throws(RedcolError) {
        let wanted = question
        let kept = locked {
            unfinishedReads.forget()
            return unfinishedQuestions.take { $0.question.isSame(as: wanted) }
        }
        if let kept {
            question = kept.question
            try ask(&question, on: kept.connection, &total)
        } else {
            try ask(&question, on: try question.connection(topology), &total)
        }
    }

    private func ask(
        _ question: inout Question, on connection: Connection, _ total: inout Int64
    ) throws(RedcolError) {
        locked {
            waiting.append(connection)
            if isCancelled {
                isCancelled = false
                connection.cancel()
            }
        }
        do throws(RedcolError) {
            try question.run(connection)
            question.tellAcknowledged(&total)
            locked { waiting.removeAll { $0 === connection } }
            topology.giveBack(connection, isIdle: true)
        } catch {
            question.tellAcknowledged(&total)
            let unfinished = AskedQuestion(question: question, connection: connection)
            let isKept = locked {
                waiting.removeAll { $0 === connection }
                guard error.cause == .interrupted, !isClosed else { return false }
                unfinishedQuestions.keep(unfinished)
                return true
            }
            if !isKept { topology.giveBack(connection, isIdle: false) }
            throw error
        }
    }

    /// Acknowledges. How many entries were pending is added to `total`, also with an error. Returns
    /// the ids, and how many of them were pending, over all calls.
    func acknowledge(
        _ acknowledgement: Acknowledgement, everythingOf iter: Int? = nil, _ total: inout Int64
    ) throws(RedcolError) -> Acknowledgement {
        var question = Question.acknowledgement(acknowledgement, everythingOf: iter)
        try ask(&question, &total)
        guard case .acknowledgement(let done, _) = question else { return acknowledgement }
        return done
    }

    /// A list, from one connection after the other. After a signal, the same list continues where
    /// it was.
    func list(_ request: ListRequest) throws(RedcolError) -> ArrowTable {
        if let file = topology.file { return try FileListing.make(request, of: file) }
        var question = Question.listing(try Listing.make(request, topology))
        var acknowledged: Int64 = 0
        while case .listing(let listing) = question {
            if listing.isDone { return try listing.finish() }
            try ask(&question, &acknowledged)
        }
        throw RedcolError(.memory, "no memory for a list")
    }

    /// A number for one more iterator.
    func nextNumber() -> Int {
        locked {
            numbersGiven += 1
            return numbersGiven
        }
    }

    /// What a signal has interrupted while everything of this iterator was acknowledged.
    func unfinishedAcknowledgement(ofEverythingOf iter: Int) -> Acknowledgement? {
        locked {
            let kept = unfinishedQuestions.first {
                if case .acknowledgement(_, iter) = $0.question { return true }
                return false
            }
            guard case .acknowledgement(let acknowledgement, _) = kept?.question else { return nil }
            return acknowledgement
        }
    }

    /// A reader that has begun. After a signal, the same read continues where it was.
    func beginRead(_ arguments: ReadArguments) throws(RedcolError) -> Reader {
        let kept = locked {
            unfinishedQuestions.forget()
            return unfinishedReads.take { $0.arguments.isSame(as: arguments) }
        }
        let reader: Reader
        if let kept {
            reader = kept.reader
        } else if let channels = arguments.channels {
            reader = try makeReader(
                topology: topology, channels: channels, schema: arguments.columns,
                options: arguments.options)
        } else {
            reader = try makeReader(
                topology: topology, streams: arguments.streams, schema: arguments.columns,
                options: try ReadOptions(arguments.options))
        }
        do throws(RedcolError) {
            try reader.connectNow()
        } catch {
            if error.cause == .interrupted {
                let unfinished = UnfinishedRead(arguments: arguments, reader: reader)
                locked {
                    if !isClosed { unfinishedReads.keep(unfinished) }
                }
            }
            throw error
        }
        return reader
    }

    /// The call that a signal has ended on this thread is not made again.
    func forget() {
        locked {
            unfinishedQuestions.forget()
            unfinishedReads.forget()
        }
    }

    func cancel() {
        locked {
            if waiting.isEmpty { isCancelled = true }
            for connection in waiting { connection.cancel() }
        }
    }

    func close() {
        locked {
            isClosed = true
            for connection in waiting { connection.cancel() }
            unfinishedQuestions.removeAll()
            unfinishedReads.removeAll()
        }
        topology.close()
    }
}

/// redcol_table
final class TableHandle: Handle {
    let table: ArrowTable

    init(_ table: ArrowTable) {
        self.table = table
        super.init(.table)
    }
}

/// redcol_credentials
final class CredentialsHandle: Handle {
    let provider: CredentialsProvider

    init(_ provider: CredentialsProvider) {
        self.provider = provider
        super.init(.credentials)
    }
}

/// redcol_error: its texts as C strings that live as long as it does.
final class ErrorHandle: Handle {
    let status: redcol_status
    let message: UnsafeMutablePointer<CChar>?
    private var details: [(name: StaticString, text: UnsafeMutablePointer<CChar>?)] = []

    init(_ error: RedcolError) {
        status = error.cause.status
        message = ErrorHandle.copy(error.message)
        for (detail, text) in error.details {
            details.append((detail.name, ErrorHandle.copy(text)))
        }
        super.init(.error)
    }

    deinit {
        free(message)
        for detail in details { free(detail.text) }
    }

    func detail(_ name: UnsafePointer<CChar>) -> UnsafePointer<CChar>? {
        for detail in details {
            let known = UnsafeRawPointer(detail.name.utf8Start).assumingMemoryBound(to: CChar.self)
            if strcmp(name, known) == 0 { return UnsafePointer(detail.text) }
        }
        return nil
    }

    private static func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
        text.utf8CString.withUnsafeBufferPointer { bytes in bytes.baseAddress.flatMap { strdup($0) }
        }
    }
}
