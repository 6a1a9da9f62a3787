// SPDX-License-Identifier: Apache-2.0
// LZF, by which servers compress strings of snapshots: runs of bytes as they are, and references to
// bytes before them.

import CPlatform

/// Expands `count` bytes at `packed` into exactly `size` bytes at `out`; false if they do not make
/// so many, or refer to bytes that are not there.
func expandLZF(
    _ packed: UnsafePointer<UInt8>, _ count: Int, into out: UnsafeMutablePointer<UInt8>, _ size: Int
) -> Bool {
    var (from, to) = (0, 0)
    while from < count {
        let control = Int(packed[from])
        from &+= 1
        if control < 32 {
            let run = control &+ 1
            guard run <= count &- from, run <= size &- to else { return false }
            memcpy(out + to, packed + from, run)
            from &+= run
            to &+= run
            continue
        }
        var length = control &>> 5
        if length == 7 {
            guard from < count else { return false }
            length &+= Int(packed[from])
            from &+= 1
        }
        length &+= 2
        guard from < count else { return false }
        let distance = (control & 0x1F) &<< 8 &+ Int(packed[from]) &+ 1
        from &+= 1
        guard distance <= to, length <= size &- to else { return false }
        let source = out + (to &- distance)
        if distance >= length {
            memcpy(out + to, source, length)
        } else {
            // It repeats what it writes.
            for place in 0..<length { out[to &+ place] = source[place] }
        }
        to &+= length
    }
    return to == size
}
