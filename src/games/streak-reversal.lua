--
-- Streak, the way back: an event that is reversed leaves its period, and an
-- award that no run stands for any more is taken back.  This file follows
-- streak.lua in its block of the library and uses what is local there.
--
-- input:  entries 7 to 9 of the event's record
-- output: entry 7, and the awards that are taken back
-- errors: limit_reached
--


-- What a reversal leaves of the awards.  Each is looked for in the run of
-- its period, or in what a split left beside it.  One whose run is too short
-- now may stand for another run of the map that was not paid what it is long
-- enough for, and one of a series (every) for a lower number of the series:
-- what stays is the rule applied to what remains, in whatever order it is
-- reversed.  The rest is taken back.

local function run_at(st, b, period)
    local t = st[TOP] - period

    if t < 0 or t > 63 or b[t] == 0 then
        return nil
    end

    local y, ye = older(b, t, st[CARRY])
    local _, xe = newer(b, t - 1)

    return period - y + 1, xe > 0 and xe + y or ye
end


local function keep(kept, period, n, paid, j)
    local e = #kept

    kept[e + 1], kept[e + 2], kept[e + 3] = period, n, paid[j + 2]
    kept[e + 4], kept[e + 5] = paid[j + 3], paid[j + 4]
end


local function is_kept(kept, at, n, paid, j)
    for k = 1, #kept, 5 do
        if kept[k] == at and kept[k + 1] == n and kept[k + 2] == paid[j + 2]
           and kept[k + 3] == paid[j + 3] and kept[k + 4] == paid[j + 4]
        then
            return true
        end
    end
end


local function relabel(st, b, kept, paid, j)
    local every, top = paid[j + 2], st[TOP]
    local stride = every > 0 and every or paid[j + 1]

    for t = 0, 63 do
        local start, length

        if t == 0 or b[t - 1] == 0 then
            start, length = run_at(st, b, top - t)
        end

        local n = start and length - length % stride or 0

        if every == 0 and n > 0 then
            n = stride
        end

        while n > 0 and start + n - 1 > top - 64 do
            if not is_kept(kept, start + n - 1, n, paid, j) then
                keep(kept, start + n - 1, n, paid, j)
                return true
            end

            n = n - stride
        end
    end
end


local function settle_paid(c, slot, st, b)
    local paid, kept, loose = st[PAID], {}, {}

    for j = 1, #paid, 5 do
        local placed = false

        for period = paid[j] - 1, paid[j] + 1 do
            local start, length = run_at(st, b, period)

            if start and length >= paid[j + 1] then
                keep(kept, start + paid[j + 1] - 1, paid[j + 1], paid, j)
                placed = true
                break
            end
        end

        if not placed then
            loose[#loose + 1] = j
        end
    end

    for k = 1, #loose do
        local j = loose[k]

        if not relabel(st, b, kept, paid, j) then
            revoke(c, paid[j + 3], paid[j + 4], slot)
        end
    end

    st[PAID] = kept
    forget(st)
end


-- the last event has gone, and with it all that the streak paid

local function vanish(c, slot, st, period)
    note(c, slot, period, 0, 0, 0, 0)

    local paid, gone = st[PAID], st[GONE]

    if paid ~= 0 then
        for j = 1, #paid, 5 do
            revoke(c, paid[j + 3], paid[j + 4], slot)
        end
    end

    if gone ~= 0 then
        for j = 1, #gone, 2 do
            revoke(c, gone[j], gone[j + 1], slot)
        end
    end

    c.states[slot] = false
end


-- a period that lost its only event leaves its run; freezes that would
-- then stand before the first event or behind the last are given back

local function leave(c, slot, st, period)
    local t = st[TOP] - period
    local b = spread(st)

    if b[t] ~= 1 then
        return
    end

    b[t] = 0

    local j = t - 1

    while j >= 0 and b[j] == 2 do
        b[j] = 0
        st[FREEZES] = st[FREEZES] + 1
        j = j - 1
    end

    -- and those that no event stands behind any more

    if head(st) == t then
        j = t + 1

        while j < 64 and b[j] == 0 do
            j = j + 1
        end

        while j < 64 and b[j] == 2 do
            b[j] = 0
            st[FREEZES] = st[FREEZES] + 1
            j = j + 1
        end
    end

    fold(st, b)

    local best = longest(b, st[CARRY])

    st[BEST] = best > st[BELOW] and best or st[BELOW]

    if st[BEST] == 0 then
        st[BEST] = 1
    end

    note(c, slot, period, newest(st, head(st)), st[BEST], 0, 0)

    if st[PAID] ~= 0 then
        settle_paid(c, slot, st, b)
    end
end


local function lose(c, slot, period)
    local st = state_of(c, slot)

    if not st then
        return
    end

    fill(st)
    st[TOTAL] = st[TOTAL] - 1

    if st[TOTAL] <= 0 then
        vanish(c, slot, st, period)
        return
    end

    local counts = st[COUNTS]

    if st[TOP] - period < 64 then
        local j = 1

        while counts ~= 0 and counts[j] and counts[j] ~= period do
            j = j + 2
        end

        if counts == 0 or not counts[j] then
            leave(c, slot, st, period)

        elseif counts[j + 1] > 2 then
            counts[j + 1] = counts[j + 1] - 1

        else
            table.remove(counts, j + 1)
            table.remove(counts, j)
        end
    end

    trim(st)
end


local function undo_event(c, body, i, left)
    if left.used then
        lose(c, body[i + 1], body[i + 2])
    end
end


undo[7], undo[8], undo[9] = undo_event, undo_event, undo_event
