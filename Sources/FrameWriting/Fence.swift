// SPDX-License-Identifier: Apache-2.0
// Rows that are written once, however often they are sent: a field of a hash, the fence, says which
// row of which epoch was the last. A script writes a row and moves the fence in one step.

import ArrowColumns
import RedcolBase
import RedisConnection

/// Where it is said how far a writer has come.
struct Fence {
    /// The hash, in the slot of the stream.
    var key: [UInt8]
    /// The writer's field.
    var field: [UInt8] = []
    /// Rows are numbered within an epoch. A later one begins when all of this are written.
    var epoch = 0
    /// The number of the frame's first row.
    var firstRow = 0

    /// More arguments are too many for Lua.
    static let fieldsMax = 3_000

    /// KEYS: stream, fence. ARGV: field, epoch, row, and what stands after XADD and the stream; a
    /// row without values has nothing there.
    ///
    /// The fence moves first, since a script that may not do that must not have written the row.
    /// It goes back if the row is refused. A row whose predecessor is missing has to wait for it:
    /// that was refused for now, and comes again.
    static let script: StaticString = """
        local s,e,r,n=redis.call('HGET',KEYS[2],ARGV[1]),tonumber(ARGV[2]),tonumber(ARGV[3]),-1 \
        if s then local a,b=string.match(s,'^(%d+):(-?%d+)$') \
        if not a then return redis.error_reply('ERR the fence holds something else') end \
        if tonumber(a)>e then return '' end \
        if tonumber(a)==e then n=tonumber(b) end end \
        if n>=r then return '' end \
        if n+1<r then return redis.error_reply('TRYAGAIN the row before is not written') end \
        redis.call('HSET',KEYS[2],ARGV[1],ARGV[2]..':'..ARGV[3]) \
        if #ARGV==3 then return '' end \
        local id=redis.pcall('XADD',KEYS[1],unpack(ARGV,4)) \
        if type(id)=='table' then \
        redis.call('HSET',KEYS[2],ARGV[1],s or ARGV[2]..':-1') end \
        return id
        """
}

extension GrowingBytes {
    /// What stands before the arguments of XADD, of which there are so many after the stream.
    mutating func appendFence(
        _ fence: Fence, stream: UnsafeBufferPointer<UInt8>, row: Int, arguments: Int
    ) throws(RedcolError) {
        try appendHeader(UInt8(ascii: "*"), 8 &+ arguments)
        try append("$4\r\nEVAL\r\n")
        try appendBulk(Fence.script)
        try append("$1\r\n2\r\n")
        try appendBulk(stream)
        try appendBulk(fence.key)
        try appendBulk(fence.field)
        try appendBulk(number: fence.epoch)
        try appendBulk(number: fence.firstRow &+ row)
    }

    private mutating func appendBulk(number: Int) throws(RedcolError) {
        try appendShortBulk { text throws(RedcolError) in writeDecimal(Int64(number), to: text) }
    }
}
