--
-- Earn: points for an event, by its amount, by its items, or flat.
--
-- input:  rule { 1, hash, wallet hash, num, den, round, basis }, one
--         dynamic argument (item indices) for bases 2 and 3
-- output: entry 1, and entry 2 where items were counted
-- state:  { -1 - basis, num, den, round }, which the hash fixes
-- errors: limit_reached
--
-- One rounding of basis * num * multiplier / (den * 10000), as DESIGN says:
-- per event, on the exact decimal.
--

local FLOOR_UP, HALF_UP = 1, 2


-- b * n / d rounded once; n * d < 2^53 is the configuration's duty, so that
-- no product on the way is inexact

local function points(b, n, d, round)
    local r = b % d
    local t = r * n
    local m = t % d
    local q = (b - r) / d * n + (t - m) / d

    if m > 0 and (round == FLOOR_UP or (round == HALF_UP and m * 2 >= d)) then
        q = q + 1
    end

    return q
end


apply[1] = function(c, rule, args, i)
    local basis = rule[7]
    local which, b

    if basis == 0 then
        b = 1

    elseif basis == 1 then
        b = c.amount

    else
        which = args[i]
        i = i + 1
        b = basis == 2 and items_quantity(c.items, which)
            or items_amount(c.items, which)
    end

    local p = points(b, rule[4] * c.multiplier, rule[5] * ONE, rule[6])

    if p > MAX then
        c.failed = 'limit_reached'
        return i
    end

    if p > 0 then
        local s = c.slot_index[rule[2]] or slot_of(c, rule[2])

        if not c.states[s] then
            set_state(c, s, { -1 - basis, rule[4], rule[5], rule[6] })
        end

        give(c, wallet_of(c, rule[3]), p, s)

        if which then
            note_items(c, s, which)
        end
    end

    return i
end


-- points of this entry, when an earn rule gave them: an award's points are
-- taken back by the game that gave them

undo[1] = function(c, body, i, left)
    local slot = body[i + 3]
    local st = state_of(c, slot)

    if type(st) ~= 'table' or st[1] >= 0 then
        return
    end

    local basis = -1 - st[1]
    local was, is

    if basis == 0 then
        was, is = 1, left.used and 0 or 1

    elseif basis == 1 then
        was, is = left.amount_was, left.amount_is

    else
        was, is = items_lost(body, i + 4, slot, left, basis == 2)
    end

    local multiplier = body[5] == 0 and ONE or body[5]
    local n, d = st[2] * multiplier, st[3] * ONE
    local lost = points(was, n, d, st[4]) - points(is, n, d, st[4])

    if lost > 0 then
        take(c, body[i + 1], lost, slot)
    end
end
