// SPDX-License-Identifier: Apache-2.0
// What has to look at a group and change it in one step runs as a script on the server: between two
// commands the group may deliver entries, which no WATCH notices.

enum SteeringScripts {
    /// Deletes a consumer that has no pending entries; if it has some, the answer is their number
    /// below zero.
    static var deleteConsumer: String {
        """
        local p=redis.pcall('XPENDING',KEYS[1],ARGV[1]) if p.err then return p end
        for _,c in ipairs(p[4] or {}) do if c[1]==ARGV[2] then return -tonumber(c[2]) end end
        return redis.pcall('XGROUP','DELCONSUMER',KEYS[1],ARGV[1],ARGV[2])
        """
    }

    /// Makes entries that this consumer holds look as if they had been idle for long. The answer is
    /// the number of them.
    static var release: String {
        """
        local n=0
        for i=3,#ARGV do
        local p=redis.pcall('XPENDING',KEYS[1],ARGV[1],ARGV[i],ARGV[i],1,ARGV[2])
        if p.err then return p end
        if p[1] then
        p=redis.pcall('XCLAIM',KEYS[1],ARGV[1],ARGV[2],0,ARGV[i],'IDLE',2147483647,'JUSTID')
        if p.err then return p end
        n=n+#p
        end end
        return n
        """
    }
}
