// SPDX-License-Identifier: Apache-2.0
// Acknowledging entries, and deleting them then if that is wanted: the command, how many ids each
// has, and the error of a wrong answer.
// https://redis.io/docs/latest/commands/xack/ and https://redis.io/docs/latest/commands/xackdel/

import RedcolBase
import RedisConnection

/// What happens to entries that were acknowledged.
public enum AfterAcknowledging: String, CaseIterable, Sendable {
    case keep
    /// They are deleted, unless another group of the stream has not acknowledged them yet.
    case delete

    /// Ids in one command. More cost the server the same per id, and other clients wait for each
    /// command; a script looks at each id in each group.
    var idsMax: Int { self == .keep ? 1_000 : 250 }

    /// Acknowledges, and answers how many of the entries were pending. XACKDEL of Redis 8.2 deletes
    /// what all groups have acknowledged. Before, no group may have the entry pending or still to
    /// come. All looks and changes are one step, so that no other group gets an entry in between.
    /// A user who may not delete acknowledges nothing: 0-0 is no entry, but asks for the right.
    fileprivate static var script: String {
        """
        local k,g,n,d=KEYS[1],ARGV[1],0,{}
        if (redis.REDIS_VERSION_NUM or 0)>=0x80200 then
        local r=redis.pcall('XACKDEL',k,g,'ACKED','IDS',#ARGV-1,unpack(ARGV,2))
        if r.err then return r end
        for _,v in ipairs(r) do if v>0 then n=n+1 end end
        return n
        end
        local o=redis.pcall('XINFO','GROUPS',k)
        if o.err then if redis.call('EXISTS',k)==0 then return 0 end return o end
        local function after(a,b)
        local p,q=a:match('%d+'),b:match('%d+')
        if p==q then p,q=a:match('%d+$'),b:match('%d+$') end
        if #p~=#q then return #p>#q end
        return p>q
        end
        local m=redis.pcall('XDEL',k,'0-0')
        if type(m)=='table' then return m end
        for i=2,#ARGV do
        local r=redis.pcall('XACK',k,g,ARGV[i])
        if type(r)=='table' then return r end
        if r==1 then n=n+1 d[n]=ARGV[i] end
        end
        for _,x in ipairs(o) do
        local f,l={},{}
        for i=1,#x,2 do f[x[i]]=x[i+1] end
        for _,id in ipairs(d) do
        if not after(id,f['last-delivered-id'])
        and #redis.call('XPENDING',k,f.name,id,id,1)==0 then l[#l+1]=id end
        end
        d=l
        end
        if #d>0 then
        local r=redis.pcall('XDEL',k,unpack(d))
        if type(r)=='table' then return r end
        end
        return n
        """
    }
}

extension Command {
    /// Acknowledges so many entries of a stream: XACK, or EVAL if they are deleted then.
    static func acknowledge(
        stream: [UInt8], group: [UInt8], count: Int, then: AfterAcknowledging,
        _ id: (Int) -> EntryID
    ) -> Command {
        var command =
            then == .keep ? Command("XACK") : Command("EVAL", AfterAcknowledging.script, "1")
        command.add(stream)
        command.add(group)
        command.add(hyphenated: count) {
            let id = id($0)
            return (id.milliseconds, id.sequence)
        }
        return command
    }
}

extension Connection {
    /// The answer to XACK is not a count of entries, or counts more than were named.
    var wrongAcknowledgedCount: RedcolError {
        violation("a count that cannot be in answer to XACK")
    }
}
