// SPDX-License-Identifier: Apache-2.0
// Entry ids in one text, as callers name entries that are acknowledged or deleted.

extension EntryID {
    /// The ids in `text`, separated by white space. Refused if one of them is not an id; the error
    /// then says that nothing was `undone`.
    public static func list(
        _ text: UnsafeBufferPointer<UInt8>, undone: StaticString
    ) throws(RedcolError) -> [EntryID] {
        var ids: [EntryID] = []
        var begin = 0
        while begin < text.count {
            guard !isSpace(text[begin]) else {
                begin += 1
                continue
            }
            let end = text[begin...].firstIndex(where: isSpace) ?? text.count
            let word = text[begin..<end]
            begin = end
            guard ids.hasRoom(for: 1) else {
                throw RedcolError(.memory, "no memory for the ids; nothing was \(undone)")
            }
            guard let id = EntryID(word, sequenceIfMissing: nil) else {
                throw RedcolError(
                    .invalidArgument,
                    "\"\(escaped(Array(word.prefix(81)), limit: 80))\" is not an entry id; ids "
                        + "look like 1704067200000-0. Nothing was \(undone)")
            }
            ids.append(id)
        }
        return ids
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte >= 0x09 && byte <= 0x0D
    }
}
