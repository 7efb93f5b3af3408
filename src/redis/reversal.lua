--
-- A reversal: what is left of an event is lowered, each game takes back what
-- no longer stands, and the event's own record remembers what is left.  This
-- file follows engine.lua and uses what is local there.
--
-- reverse_@H@
--     keys:   member, overflow, feed, aliases
--     input:  ARG, msgpack values
--     output: "N" or "D", hashes, record; or "E" and a code
-- errors: as in engine.lua
--


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


-- What the event's amount loses with its items: as much as they do, or their
-- share where they make up all of it but a discount, so that the last of
-- them takes the last of it.

local function amount_lost(left, body, worth, lost)
    local amount, before = left.amount_was, 0

    for k = 2, #left.was, 2 do
        before = before + left.was[k]
    end

    if worth < (body[4] or 0) or before == amount then
        return lost < amount and lost or amount
    end

    return before > 0 and share(amount, lost, before) or 0
end


-- takes the lines of a reversal by items off the event

local function return_items(left, body, lines)
    local items, worth, lost = body[6], 0, 0

    if not items then
        return 'invalid_field'
    end

    for k = 4, #items, 4 do
        worth = worth + (items[k] > 0 and items[k] or 0)
    end

    for k = 1, #lines, 4 do
        local v, code = return_line(left, items, lines[k], lines[k + 1],
                                    lines[k + 2], lines[k + 3])
        if code then
            return code
        end

        lost = lost + v
    end

    left.amount_is = left.amount_was - amount_lost(left, body, worth, lost)

    if all_returned(left) and (left.amount_is == 0 or worth == 0) then
        use_up(left)
    end
end


-- applies what the reversal asks for; returns a code when it cannot

local function reduce(left, body, amount, lines)
    if lines then
        return return_items(left, body, lines)

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
    local tail = sub(record, 3, head_end) .. pack(unpack(body))
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
    local i = HEAD + 1

    while body[i] ~= 0 do
        local f = undo[body[i]]

        if f then
            f(c, body, i, left)
        end

        i = entry_end(body, i)
    end
end


local function reverse_event(keys, now, needle, rest, of, amount, items,
                             member, constants, targets, signed)
    local c = begin(now, constants, call('GET', keys[1]))
    local seen = lookup(c, keys[2], needle)

    if seen then
        return repeated(c, seen, needle, rest)
    end

    if signed and told_before(c, keys, needle) then
        return 'Etold_before'
    end

    local record, pos, seq = lookup(c, keys[2], of)
    local body = record and body_of(record)

    -- one that is only still there: its instances may be gone
    if not body or body[3] == 0 or expired(c, record) then
        return 'Eunknown_event'
    end

    if body[7] and body[7][1] == 1 then
        return 'Eover_reversal'
    end

    local left = left_of(body)
    local code = reduce(left, body, amount, items)

    if code then
        return 'E' .. code
    end

    c.member = member

    if targets then
        aim(c, keys, targets)
    end

    local e, n = c.entries, c.n

    e[n + 1], e[n + 2] = 11, sub(of, 2)
    e[n + 3], e[n + 4] = amount or false, items or false
    c.n = n + 4

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

    return save(c, keys, needle, rest, program_slot, 0)
end


act('reverse', reverse_event)
