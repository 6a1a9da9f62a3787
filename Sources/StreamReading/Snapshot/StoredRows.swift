// SPDX-License-Identifier: Apache-2.0
// The range of one stored stream, node by node: nodes outside it are passed over as they are.

import RedcolBase
import StreamSnapshots

/// A stored stream whose entries become rows. Plain memory, freed by `free()`.
struct StoredRows {
    enum Outcome {
        /// The batch has as many rows as wanted.
        case batchFull
        /// The range has no more entries.
        case end
        /// An entry has a value that does not fit; it was passed over.
        case refused(RedcolError)
    }

    private var stream: StoredStream
    private var rows: NodeRows
    private var scratch = ScratchBytes()

    init(_ stream: StoredStream, first: EntryID, last: EntryID) {
        self.stream = stream
        rows = NodeRows(first: first, last: last)
    }

    mutating func free() {
        rows.free()
        scratch.free()
    }

    /// Makes rows, up to `rowsMax` in the batch. `counting` counts what a call makes of so many
    /// bytes.
    mutating func parse(
        _ parser: UnsafeMutablePointer<RowParser>, rowsMax: Int,
        counting: (Int, () -> ParseOutcome) -> ParseOutcome
    ) throws(RedcolError) -> Outcome {
        while true {
            var rows = self.rows
            let outcome = counting(rows.bytesLeft) {
                parser.pointee.parse(&rows, rowsMax: rowsMax)
            }
            self.rows = rows
            switch outcome {
            case .batchFull: return .batchFull
            case .replyEnd:
                if rows.isPastLast { return .end }
                guard try beginNode() else { return .end }
            case .refused(let error): return .refused(error)
            case .failed(let error): throw error
            case .needsMore, .serverError: throw stream.bytes.damaged("an entry without an end")
            }
        }
    }

    /// Passes over the first `count` entries of the range; fewer if it has fewer. How many.
    mutating func passOver(entries count: Int) throws(RedcolError) -> Int {
        var passed = 0
        while passed < count {
            passed += try rows.passOver(entries: count - passed)
            if rows.isPastLast || passed == count { break }
            guard try beginNode() else { break }
        }
        return passed
    }

    /// Begins the next node that may hold entries of the range; false after the last one.
    private mutating func beginNode() throws(RedcolError) -> Bool {
        while let master = try stream.peekMaster(), master <= rows.last {
            var after = stream
            _ = try after.passOverNode()
            // All entries of a node lie before the next one's id.
            if let next = try after.peekMaster(), next <= rows.first {
                stream = after
                continue
            }
            guard let node = try stream.nextNode(&scratch),
                rows.begin(node.master, node.listpack)
            else { throw stream.bytes.damaged("a node that makes no sense, before the one") }
            return true
        }
        return false
    }
}

extension SnapshotFile {
    /// The id of a stream's last entry; nil if it is empty or missing.
    public func lastEntry(of stream: [UInt8]) throws(RedcolError) -> EntryID? {
        guard let place = find(stream) else { return nil }
        do throws(RedcolError) {
            return try self.stream(place, from: .largest).lastEntry()
        } catch {
            throw damaged(error, place)
        }
    }
}
