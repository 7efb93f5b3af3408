--
-- One event, and a page of history; reversal.lua adds the way back.  They
-- read and write the member and know no game; docs/internals.md describes
-- arguments, state and replies.
--
-- event_@H@
--     keys:   member, overflow, feed, aliases
--     input:  ARG, msgpack values
--     output: "N" or "D", hashes, record; or "E" and a code
-- history_@H@ (no writes)
--     keys:   member, overflow
--     input:  ARG, msgpack values before, limit
--     output: hashes, type names, records; newest first
-- errors: an argument or a state that does not decode is an error reply of
--     Redis itself, and nothing has been written by then.
--

local FORMAT = 1
local REST = 16                     -- at, accepted, fingerprint
local FORGET = 16                   -- overflow records looked at a time
local RECORD = 60000                -- bytes, which leaves room for mark()
local VALUES = 3900                 -- in a body: Lua's stack holds 8000, and
                                    -- pack() asks for as many again


-- What one call works on, made once: tables that grow field by field are
-- a large part of a call's cost.  begin() sets every field anew; entries
-- keep old values behind n, which nobody reads.

local work = {
    now = 0, at = 0, amount = false, items = false, member = false,
    program = false, multiplier = 0, failed = false, put = false,
    seq = 0, alias = false, oldest = 0, kept = 0, whashes = '',
    wallets = false, slots = '', states = false, records = '',
    slot_index = false, wallet_index = false, touched = {}, touched_n = 0,
    keys = false, targets = NO_TARGETS, codes = false, entries = {}, n = 0
}


-- values as a table that is made in its full size

local function listed(off, ...)
    return off, { ... }
end


-- the member's state; raw is false for a member never seen

local function load(c, raw)
    if not raw then
        c.seq, c.alias, c.oldest, c.kept = 0, false, 0, 0
        c.whashes, c.wallets, c.slots, c.states = '', {}, '', {}
        c.slot_index, c.wallet_index = index_of(''), index_of('')
        c.records = ''
        return
    end

    local off, format

    off, format, c.seq, c.alias, c.oldest, c.kept, c.whashes, c.slots =
        unpack_limit(raw, 7, 0)

    if format ~= FORMAT then
        error('member state of format ' .. tostring(format))
    end

    -- a limit of 0 would mean all; a member has a slot but maybe no wallet
    c.wallets = {}

    if c.whashes ~= '' then
        off, c.wallets = listed(unpack_limit(raw, #c.whashes, off))
    end

    off, c.states = listed(unpack_limit(raw, #c.slots / 4, off))

    c.slot_index, c.wallet_index = index_of(c.slots), index_of(c.whashes)
    c.records = off == -1 and '' or sub(raw, off + 1)
end


-- the bytes of the record at a position, and the position behind it

local function record_at(records, pos)
    local stop = pos + 2 + byte(records, pos) * 256 + byte(records, pos + 1)

    return sub(records, pos, stop - 1), stop
end


-- where the record with this id is: its bytes and its position in the
-- string, or its bytes, nil and its seq in the overflow; nil when nowhere

local function lookup(c, overflow, needle)
    local records = c.records

    if find(records, needle, 1, true) then
        local pos, n = 1, #needle

        while pos <= #records do
            local record, stop = record_at(records, pos)

            if sub(record, 3, n + 2) == needle then
                return record, pos
            end

            pos = stop
        end
    end

    if c.oldest > 0 then
        local seq = call('HGET', overflow, 'i' .. needle)

        if seq then
            return call('HGET', overflow, 's' .. seq), nil, seq
        end
    end
end


local function hashes_of(c)
    local n = #c.slots / 4

    return char(#c.whashes / 4, (n - n % 256) / 256, n % 256)
           .. c.whashes .. c.slots
end


local function body_of(record)
    return { unpack_all(sub(record, 4 + byte(record, 3) + REST)) }
end


-- points of a record that is no longer remembered go to opening

local function close_record(c, record)
    local body, wallets = body_of(record), c.wallets
    local i = HEAD + 1

    while body[i] ~= 0 do
        if body[i] == 1 then
            local w = body[i + 1] * 4 - 1
            wallets[w] = wallets[w] + body[i + 2]
        end

        i = entry_end(body, i)
    end
end


local function expired(c, record)
    local accepted = sunpack('>I4', record, 4 + byte(record, 3) + 6)

    return accepted * 1000 + c.program[2] < c.now
end


-- forgets the oldest records of the overflow, a few at a time

local function forget_oldest(c, overflow, last)
    for _ = 1, FORGET do
        local key = 's' .. fmt('%.0f', c.oldest)
        local record = call('HGET', overflow, key)

        if not record then
            error('overflow has no record ' .. key)
        end

        if not expired(c, record) then
            return
        end

        close_record(c, record)
        call('HDEL', overflow, key, 'i' .. sub(record, 3,
                                               3 + byte(record, 3)))
        c.oldest = c.oldest + 1

        if c.oldest > last then
            c.oldest = 0
            return
        end
    end
end


-- the oldest records leave the string; c.seq is that of the record to come

local function overflow_records(c, overflow)
    local pos, first = 1, c.seq - c.kept
    local put, n = {}, 0

    for seq = first, first + MOVED - 1 do
        local record, stop = record_at(c.records, pos)

        if n == 0 and c.oldest == 0 and expired(c, record) then
            close_record(c, record)

        else
            local s = fmt('%.0f', seq)

            put[n + 1] = 'i' .. sub(record, 3, 3 + byte(record, 3))
            put[n + 2], put[n + 3], put[n + 4] = s, 's' .. s, record
            n = n + 4

            if c.oldest == 0 then
                c.oldest = seq
            end
        end

        pos = stop
    end

    if n > 0 then
        call('HSET', overflow, unpack(put))
        forget_oldest(c, overflow, first + MOVED - 1)
    end

    c.records = sub(c.records, pos)
    c.kept = c.kept - MOVED
end


-- the member without its records

local function head_of(c)
    local states, touched = c.states, c.touched

    for i = 1, c.touched_n do
        local slot = touched[i]
        local st = states[slot]

        if type(st) == 'table' then
            states[slot] = pack(unpack(st))
        end
    end

    return pack(FORMAT, c.seq, c.alias, c.oldest, c.kept, c.whashes, c.slots,
                unpack(c.wallets)) .. pack(unpack(states))
end


-- how the feed calls the member: where its id stands in the aliases

local function name_member(c, keys)
    if not c.alias then
        c.alias = call('APPEND', keys[4], char(#c.member) .. c.member)
                  - 1 - #c.member
    end
end


-- the member as it is, without a record more

local function save_member(c, keys)
    name_member(c, keys)
    call('SET', keys[1], head_of(c) .. c.records)
end


-- the record of what c.entries say, the member with it, and the feed's line

local function save(c, keys, needle, rest, program_slot, type_slot)
    local wallets, body, n = c.wallets, c.entries, c.n
    local multiplier, changed = c.multiplier, n > HEAD

    c.seq = c.seq + 1

    body[1], body[2], body[3] = c.seq, program_slot, type_slot
    body[4] = c.amount or false
    body[5] = multiplier == ONE and 0 or multiplier
    body[6], body[7] = c.items or false, false

    n = n + 1
    body[n] = 0

    for i = 1, #wallets, 4 do
        n = n + 1
        body[n] = wallets[i]
    end

    if n > VALUES or #wallets + #c.slots / 4 > VALUES then
        return 'Elimit_reached'
    end

    local tail = pack(unpack(body, 1, n))
    local size = #needle + REST + #tail

    if size > RECORD then
        return 'Elimit_reached'
    end

    local record = char((size - size % 256) / 256, size % 256) .. needle
                   .. rest .. tail

    name_member(c, keys)

    if c.targets ~= NO_TARGETS then
        flush_targets(c)

        if c.failed then
            return 'E' .. c.failed
        end
    end

    if c.codes then
        for key, taken in pairs(c.codes) do
            call('LPOP', key, taken)
        end
    end

    if c.put then
        call('HSET', keys[2], c.put[1], c.put[2])
    end

    if c.kept >= KEPT then
        overflow_records(c, keys[2])
    end

    c.kept = c.kept + 1

    call('SET', keys[1], head_of(c) .. c.records .. record)

    if changed then
        call('XADD', keys[3], 'MAXLEN', '~', c.program.feed_max, '*',
             'm', c.alias, 's', c.seq)
    end

    return 'N' .. hashes_of(c) .. record
end


-- a repeat: the remembered record, when its contents are the same

local function repeated(c, record, needle, rest)
    local from = 3 + #needle + 10

    if sub(record, from, from + 5) ~= sub(rest, 11, 16) then
        return 'Eevent_conflict'
    end

    return 'D' .. hashes_of(c) .. record
end


local function begin(now, blob, raw)
    local c = work

    c.now, c.program, c.multiplier = now, program(blob), ONE
    c.at, c.amount, c.items, c.member = now, false, false, false
    c.failed, c.put, c.n, c.touched_n = false, false, HEAD, 0
    c.targets, c.codes = NO_TARGETS, false

    load(c, raw)

    return c
end


-- lifetime of the first wallet, on which the tiers stand

local function lifetime(c)
    local h = c.program[4][1]
    local w = h and c.wallet_index[h]

    return w and c.wallets[w * 4 - 2] or 0
end


local function note_tier(c, before)
    local after = tier_of(c.program[5], lifetime(c))

    if after ~= before then
        local e, n = c.entries, c.n
        e[n + 1], e[n + 2], e[n + 3] = 10, before, after
        c.n = n + 3
    end
end


-- Whether a member who was erased since has told this before.  A signature is
-- good for a while, also to who has listened to it: erase_@H@ leaves digests of
-- what was told in that time, 24 digits each, and until when they count.

local function told_before(c, keys, needle)
    local told = call('GET', keys[#keys])
    local digest = told and sub(redis.sha1hex(keys[1] .. needle), 1, 24)
    local pos = told and find(told, digest, 1, true)

    return pos and sunpack('>I4', told, pos + 24) * 1000 > c.now
end


-- ARG's values; what follows n is the rules', then the targets or nil, and
-- last, where the request is signed, 1

do

local function decide(keys, now, at, needle, rest, type_hash, type_name,
                      amount, items, member, constants, n, ...)
    local c = begin(now, constants, call('GET', keys[1]))
    local seen = lookup(c, keys[2], needle)

    if seen then
        return repeated(c, seen, needle, rest)
    end

    c.at, c.amount, c.items, c.member = at, amount, items, member

    local program_slot = slot_of(c, c.program[1])
    local type_slot = slot_of(c, type_hash)

    if not c.states[type_slot] then
        c.states[type_slot] = TYPE .. type_name
    end

    local tiers = c.program[5]
    local tier, multiplier = tier_of(tiers, lifetime(c))

    c.multiplier = multiplier

    local rules, i, last = { ... }, 1, select('#', ...)
    local targets = rules[last]

    if targets == 1 then
        if told_before(c, keys, needle) then
            return 'Etold_before'
        end

        targets = rules[last - 1]
    end

    if targets then
        aim(c, keys, targets)
    end

    for _ = 1, n do
        local rule = memo[rules[i]] or constant(rules[i])
        i = apply[rule[1]](c, rule, rules, i + 1)
    end

    if #tiers > 0 then
        note_tier(c, tier)
    end

    if c.failed then
        return 'E' .. c.failed
    end

    return save(c, keys, needle, rest, program_slot, type_slot)
end


act('event', decide)

end


-- newest first: from the string, then from the overflow; one record at least.
-- Behind those that leave others for the next page stands an empty string.

local function history(keys, before, limit, most)
    local raw = call('GET', keys[1])

    if not raw then
        return {}
    end

    local c = work

    load(c, raw)

    local names, out = {}, { 'H' .. hashes_of(c), '' }

    for s = 1, #c.states do
        local st = c.states[s]

        if st and byte(st) == 193 then
            names[s] = sub(st, 2)
        end
    end

    out[2] = pack(names)

    local first = c.seq - c.kept + 1
    local records, pos = {}, 1

    for seq = first, c.seq do
        records[seq - first + 1], pos = record_at(c.records, pos)
    end

    local seq = (before > 0 and before <= c.seq) and before - 1 or c.seq
    local page, wanted = {}, {}

    while seq >= first and limit > 0 do
        page[#page + 1] = records[seq - first + 1]
        seq, limit = seq - 1, limit - 1
    end

    while c.oldest > 0 and seq >= c.oldest and limit > 0 do
        wanted[#wanted + 1] = 's' .. fmt('%.0f', seq)
        seq, limit = seq - 1, limit - 1
    end

    if #wanted > 0 then
        local found = call('HMGET', keys[2], unpack(wanted))

        for i = 1, #found do
            if found[i] then
                page[#page + 1] = found[i]
            end
        end
    end

    most = most or MAX

    for i = 1, #page do
        most = most - #page[i]

        if most < 0 and i > 1 then
            out[#out + 1] = ''
            break
        end

        out[#out + 1] = page[i]
    end

    return out
end


act('history', history, { 'no-writes' })
