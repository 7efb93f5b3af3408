--
-- The three functions: one event, one reversal, a page of history.  They
-- read and write the member and know no game; docs/internals.md describes
-- arguments, state and replies.
--
-- event_@H@, reverse_@H@
--     keys:   member, overflow, feed, aliases
--     input:  ARG, a msgpack array
--     output: "N" or "D", hashes, record; or "E" and a code
-- history_@H@ (no writes)
--     keys:   member, overflow
--     input:  ARG, msgpack [before, limit]
--     output: hashes, type names, records; newest first
-- errors: an argument or a state that does not decode is an error reply of
--     Redis itself, and nothing has been written by then.
--

local FORMAT = 1
local REST = 16                     -- at, accepted, fingerprint
local FORGET = 16                   -- overflow records looked at a time
local RECORD = 60000                -- bytes, which leaves room for mark()


-- the member's state; raw is false for a member never seen

local function load(c, raw)
    if not raw then
        c.seq, c.alias, c.oldest, c.kept = 0, false, 0, 0
        c.whashes, c.wallets, c.slots, c.states = '', {}, '', {}
        c.records = ''
        return
    end

    local off, head = unpack1(raw)

    if head[1] ~= FORMAT then
        error('member state of format ' .. tostring(head[1]))
    end

    c.seq, c.alias, c.oldest, c.kept = head[2], head[3], head[4], head[5]
    c.whashes, c.wallets, c.slots, c.states = head[6], head[7], head[8],
                                              head[9]
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
    return unpack_all(sub(record, 4 + byte(record, 3) + REST))
end


-- points of a record that is no longer remembered go to opening

local function close_record(c, record)
    local body, wallets = body_of(record), c.wallets
    local i = 9 + body[8]

    while body[i] do
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


-- the record of what c.entries say, the member with it, and the feed's line

local function save(c, keys, needle, rest, body)
    local n, wallets = 8, c.wallets
    local nw = #c.whashes / 4

    c.seq = c.seq + 1
    body[1], body[8] = c.seq, nw

    for w = 1, nw do
        body[n + w] = wallets[w * 4 - 3]
    end

    n = n + nw

    for i = 1, c.n do
        body[n + i] = c.entries[i]
    end

    local tail = needle .. rest .. pack(body)
    local size = #tail

    if size > RECORD then
        return 'Elimit_reached'
    end

    local record = char((size - size % 256) / 256, size % 256) .. tail

    if not c.alias then
        c.alias = call('APPEND', keys[4], char(#c.member) .. c.member)
                  - 1 - #c.member
    end

    if c.put then
        call('HSET', keys[2], c.put[1], c.put[2])
    end

    if c.kept >= KEPT then
        overflow_records(c, keys[2])
    end

    c.kept = c.kept + 1

    call('SET', keys[1], pack({ FORMAT, c.seq, c.alias, c.oldest, c.kept,
                                c.whashes, wallets, c.slots, c.states })
                         .. c.records .. record)

    local hashes = hashes_of(c)

    if c.n > 0 then
        call('XADD', keys[3], 'MAXLEN', '~', c.program[3], '*',
             'm', c.alias, 'h', hashes, 'r', record)
    end

    return 'N' .. hashes .. record
end


-- a repeat: the remembered record, when its contents are the same

local function repeated(c, record, needle, rest)
    local from = 3 + #needle + 10

    if sub(record, from, from + 5) ~= sub(rest, 11, 16) then
        return 'Eevent_conflict'
    end

    return 'D' .. hashes_of(c) .. record
end


local function begin(now, blob)
    if not call then
        bind()
    end

    return { now = now, program = program(blob), entries = {}, n = 0 }
end


-- lifetime of the first wallet, on which the tiers stand

local function lifetime(c)
    local h = c.program[4][1]
    local w = h and hash_index(c.whashes, h)

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


local function event(keys, args)
    if not call then
        bind()
    end

    local a = unpack_all(args[1])
    local c = begin(a[1], a[10])

    load(c, call('GET', keys[1]))

    local seen = lookup(c, keys[2], a[3])

    if seen then
        return repeated(c, seen, a[3], a[4])
    end

    c.at, c.amount, c.items, c.member = a[2], a[7], a[8], a[9]

    local program_slot = slot_of(c, c.program[1])
    local type_slot = slot_of(c, a[5])

    if not c.states[type_slot] then
        c.states[program_slot], c.states[type_slot] = 0, a[6]
    end

    c.states[program_slot] = 0

    local tiers = c.program[5]
    local tier, multiplier = tier_of(tiers, lifetime(c))

    c.multiplier = multiplier

    local i = 12

    for _ = 1, a[11] do
        local rule = constant(a[i])
        i = apply[rule[1]](c, rule, a, i + 1)
    end

    if #tiers > 0 then
        note_tier(c, tier)
    end

    if c.failed then
        return 'E' .. c.failed
    end

    return save(c, keys, a[3], a[4], {
        0, program_slot, type_slot, c.amount or false,
        multiplier == ONE and 0 or multiplier, c.items or false, false, 0
    })
end


-- what is left of an event: before, and (in is, amount_is) after

local function left_of(body)
    local amount, items, reversed = body[4], body[6], body[7]
    local left = { was = {}, is = {}, used = false }

    left.amount_was = reversed and reversed[2] or amount or 0

    if items then
        for k = 1, #items / 4 do
            local q, v = k * 2 - 1, k * 2

            if reversed then
                left.was[q], left.was[v] = reversed[q + 2], reversed[v + 2]
            else
                left.was[q] = items[k * 4 - 1]
                left.was[v] = items[k * 4] > 0 and items[k * 4] or 0
            end

            left.is[q], left.is[v] = left.was[q], left.was[v]
        end
    end

    left.amount_is = left.amount_was

    return left
end


-- v * n / d, rounded down, for n <= d

local function share(v, n, d)
    if n == d then
        return v
    end

    local p = v * n

    if p <= MAX then
        return (p - p % d) / d
    end

    local s = v * (n / d)

    return s - s % 1
end


-- takes one line of a reversal by items off the items it names

local function return_line(left, items, sku, category, quantity, amount)
    local known, q_left, v_left = false, quantity, amount
    local lost = 0

    for k = 1, #items / 4 do
        local j = k * 2 - 1

        if items[k * 4 - 3] == sku
           and (category == '' or items[k * 4 - 2] == category)
        then
            known = true

            local have, worth = left.is[j], left.is[j + 1]
            local q = (quantity < 0 or q_left > have) and have or q_left

            if q > 0 then
                local v = share(worth, q, have)

                if amount >= 0 then
                    v = v_left < worth and v_left or worth
                    v_left = v_left - v
                end

                left.is[j], left.is[j + 1] = have - q, worth - v
                q_left, lost = q_left - q, lost + v
            end
        end
    end

    if not known then
        return nil, 'invalid_field'
    end

    if quantity >= 0 and q_left > 0 or amount >= 0 and v_left > 0
       or quantity < 0 and q_left == -1
    then
        return nil, 'over_reversal'
    end

    return lost
end


local function all_returned(left)
    for k = 1, #left.is, 2 do
        if left.is[k] > 0 then
            return false
        end
    end

    return true
end


local function use_up(left)
    left.used, left.amount_is = true, 0

    for k = 1, #left.is do
        left.is[k] = 0
    end
end


-- applies what the reversal asks for; returns a code when it cannot

local function reduce(left, body, amount, lines)
    local items = body[6]

    if lines then
        if not items then
            return 'invalid_field'
        end

        local priced = false

        for k = 4, #items, 4 do
            priced = priced or items[k] > 0
        end

        for k = 1, #lines, 4 do
            local lost, code = return_line(left, items, lines[k],
                                           lines[k + 1], lines[k + 2],
                                           lines[k + 3])
            if code then
                return code
            end

            left.amount_is = left.amount_is > lost and left.amount_is - lost
                             or 0
        end

        if all_returned(left) and (left.amount_is == 0 or not priced) then
            use_up(left)
        end

    elseif amount then
        if not body[4] then
            return 'invalid_field'
        end

        if amount > left.amount_was then
            return 'over_reversal'
        end

        left.amount_is = left.amount_was - amount

        for k = 2, #left.is, 2 do
            left.is[k] = share(left.was[k], left.amount_is, left.amount_was)
        end

        if left.amount_is == 0 then
            use_up(left)
        end

    else
        use_up(left)
    end
end


-- writes down in the event's own record what is left of it

local function mark(c, record, pos, seq, body, left)
    local reversed = { left.used and 1 or 0, left.amount_is }

    for k = 1, #left.is do
        reversed[k + 2] = left.is[k]
    end

    body[7] = reversed

    local head_end = 3 + byte(record, 3) + REST
    local tail = sub(record, 3, head_end) .. pack(body)
    local size = #tail
    local marked = char((size - size % 256) / 256, size % 256) .. tail

    if pos then
        c.records = sub(c.records, 1, pos - 1) .. marked
                    .. sub(c.records, pos + #record)
    else
        c.put = { 's' .. seq, marked }
    end
end


local function undo_entries(c, body, left)
    local i = 9 + body[8]

    while body[i] do
        local f = undo[body[i]]

        if f then
            f(c, body, i, left)
        end

        i = entry_end(body, i)
    end
end


local function reverse(keys, args)
    if not call then
        bind()
    end

    local a = unpack_all(args[1])
    local c = begin(a[1], a[8])

    load(c, call('GET', keys[1]))

    local seen = lookup(c, keys[2], a[2])

    if seen then
        return repeated(c, seen, a[2], a[3])
    end

    local record, pos, seq = lookup(c, keys[2], a[4])
    local body = record and body_of(record)

    if not body or body[3] == 0 then
        return 'Eunknown_event'
    end

    if body[7] and body[7][1] == 1 then
        return 'Eover_reversal'
    end

    local left = left_of(body)
    local code = reduce(left, body, a[5], a[6])

    if code then
        return 'E' .. code
    end

    c.member = a[7]
    c.entries[1], c.entries[2] = 11, sub(a[4], 2)
    c.entries[3], c.entries[4] = a[5] or false, a[6] or false
    c.n = 4

    local tier = tier_of(c.program[5], lifetime(c))

    undo_entries(c, body, left)

    if #c.program[5] > 0 then
        note_tier(c, tier)
    end

    if c.failed then
        return 'E' .. c.failed
    end

    mark(c, record, pos, seq, body, left)

    local program_slot = slot_of(c, c.program[1])

    c.states[program_slot] = 0

    return save(c, keys, a[2], a[3],
                { 0, program_slot, 0, false, 0, false, false, 0 })
end


-- newest first: from the string, then from the overflow

local function history(keys, args)
    if not call then
        bind()
    end

    local a = unpack_all(args[1])
    local raw = call('GET', keys[1])

    if not raw then
        return {}
    end

    local c = {}

    load(c, raw)

    local names, out = {}, { 'H' .. hashes_of(c), '' }

    for s = 1, #c.states do
        if type(c.states[s]) == 'string' then
            names[s] = c.states[s]
        end
    end

    out[2] = pack(names)

    local before, limit = a[1], a[2]
    local first = c.seq - c.kept + 1
    local records, pos = {}, 1

    for seq = first, c.seq do
        records[seq - first + 1], pos = record_at(c.records, pos)
    end

    local seq = (before > 0 and before <= c.seq) and before - 1 or c.seq

    while seq >= first and limit > 0 do
        out[#out + 1] = records[seq - first + 1]
        seq, limit = seq - 1, limit - 1
    end

    local wanted = {}

    while c.oldest > 0 and seq >= c.oldest and limit > 0 do
        wanted[#wanted + 1] = 's' .. fmt('%.0f', seq)
        seq, limit = seq - 1, limit - 1
    end

    if #wanted > 0 then
        local found = call('HMGET', keys[2], unpack(wanted))

        for i = 1, #found do
            if found[i] then
                out[#out + 1] = found[i]
            end
        end
    end

    return out
end


redis.register_function('event_@H@', event)
redis.register_function('reverse_@H@', reverse)
redis.register_function {
    function_name = 'history_@H@', callback = history, flags = { 'no-writes' }
}
