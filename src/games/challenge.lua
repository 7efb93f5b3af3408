--
-- Challenge: so many events, items, so much of an amount, so many distinct
-- values; once ever, in every period, in a window, or in each instance that
-- an opening event starts.
--
-- input:  rule { 2, hash, goal, mode, shape, window, awards }; dynamic
--         arguments as docs/internals.md lists them
-- output: entries 3 to 6, 12, 2 where items were counted, and awards
-- state:  { shape * 8 + mode, ... }, see docs/internals.md
-- errors: limit_reached
--
-- Progress is counted past the goal, so that a reversal takes away the
-- surplus first; after completion there is no effect.
--

local ONCE, EVERY, WINDOW = 0, 1, 2
local DISTINCT = 4
local DISTINCT_VALUES = 255         -- kept
local INSTANCES = 255               -- kept at a time
local PRUNE = 8                     -- instances from which on to look


local function complete(ent)
    return type(ent) == 'table' and ent[2] > 0
end


-- takes value after value; only those kept count

local function count_values(ent, list)
    local values = ent[4]
    local seen, n = {}, 0

    if values == 0 then
        values = {}
        ent[4] = values
    end

    for j = 1, #list, 2 do
        local v = list[j + 1]

        if values[v] then
            values[v] = values[v] + 1

        elseif ent[1] < DISTINCT_VALUES then
            values[v] = 1
            ent[1] = ent[1] + 1

        else
            v = nil
        end

        if v then
            seen[n + 1], seen[n + 2] = list[j], v
            n = n + 2
        end
    end

    return seen
end


local function note(c, kind, slot, inst, progress, goal)
    local e, n = c.entries, c.n

    e[n + 1], e[n + 2], e[n + 3] = kind, slot, inst

    if progress then
        e[n + 4], e[n + 5] = progress, goal
        n = n + 2
    end

    c.n = n + 3
end


local function note_values(c, seen)
    local e, n = c.entries, c.n

    e[n + 1] = #seen / 2

    for j = 1, #seen do
        e[n + 1 + j] = seen[j]
    end

    c.n = n + 1 + #seen
end


local function note_number(c, v)
    c.n = c.n + 1
    c.entries[c.n] = v
end


local function pay(c, rule, slot)
    local awards = rule[7]

    if #awards == 0 then
        return 0
    end

    local paid = {}

    for j = 1, #awards, 3 do
        local a, b = grant(c, awards[j], awards[j + 1], awards[j + 2], slot)
        paid[#paid + 1] = a
        paid[#paid + 1] = b
    end

    return paid
end


-- One instance takes what this event brings: k (a number), or list (values).
-- Returns the entry as it is stored from now on.

local function count(c, rule, slot, inst, ent, k, list, which)
    local goal, before = rule[3], ent or 0

    -- the common step: a number that stays below the goal
    if not list and not which and type(before) == 'number'
       and before + k < goal
    then
        note(c, 3, slot, inst, before + k, goal)
        return before + k
    end

    if type(ent) ~= 'table' then
        ent = { before, 0, 0, 0 }
    else
        before = ent[1]
    end

    local seen = list and count_values(ent, list)

    if not list then
        ent[1] = ent[1] + k

        if ent[1] > MAX then
            c.failed = 'limit_reached'
        end
    end

    if ent[2] > 0 or (list and ent[1] == before and ent[1] < goal) then
        note(c, list and 6 or 4, slot, inst)
    else
        note(c, list and 5 or 3, slot, inst, ent[1], goal)
    end

    if list then
        note_values(c, seen)
    elseif which then
        note_items(c, slot, which)
    end

    if ent[2] == 0 and ent[1] >= goal then
        ent[2] = goal
        ent[3] = pay(c, rule, slot)
    end

    if ent[2] == 0 and not list then
        return ent[1]
    end

    return ent
end


-- where an instance's entry stands in the state, or nil

local function find_instance(st, inst)
    local shape = rshift(st[1], 3)

    if shape == ONCE then
        return st[2] and 2

    elseif shape == EVERY then
        for j = #st - 1, 2, -2 do
            if st[j] == inst then
                return j + 1
            end
        end

    else
        for j = #st - 2, 3, -3 do
            if st[j] == inst then
                return j + 2
            end
        end
    end
end


-- drops the instance whose entry is at j

local function drop(st, j)
    local width = rshift(st[1], 3) == EVERY and 2 or 3
    local n = #st

    for k = j + 1, n do
        st[k - width] = st[k]
    end

    for k = n - width + 1, n do
        st[k] = nil
    end
end


-- periods that no late event and no reversal can need any more

local function prune_periods(st, keep_open, keep_done)
    local j = 3

    while j <= #st do
        if st[j - 1] < (complete(st[j]) and keep_done or keep_open) then
            drop(st, j)
        else
            j = j + 2
        end
    end
end


-- the same for windows that began at a time; open ones need max_event_age,
-- and completed ones remember on top of it: an event may have come late

local function prune_windows(c, st, window)
    local open = c.now - (c.program[6] or c.program[2]) - window
    local done = open - c.program[2]
    local j = 5

    while j <= #st do
        if st[j - 1] < (complete(st[j]) and done or open) then
            drop(st, j)
        else
            j = j + 3
        end
    end

    while #st >= 2 + 3 * INSTANCES do
        drop(st, 5)
    end
end


local function open_instance(st, at)
    local ord, n = st[2], #st

    st[2] = ord + 1
    st[n + 1], st[n + 2], st[n + 3] = ord, at, 0

    return ord, n + 3
end


local function every(c, rule, slot, st, period, keep_open, keep_done, k,
                     list, which)
    local j = find_instance(st, period)

    if not j then
        j = #st + 2

        if j > 1 + 2 * PRUNE then
            prune_periods(st, keep_open, keep_done)
            j = #st + 2
        end

        st[j - 1], st[j] = period, 0
    end

    st[j] = count(c, rule, slot, period, st[j], k, list, which)
end


-- a window starts at its first counted event and ends at completion

local function window(c, rule, slot, st, k, list, which)
    local at, n = c.at, #st
    local ord, j = st[n - 2], n

    if n > 2 then
        local began, ent = st[n - 1], st[n]

        if at < began then
            return
        end

        if complete(ent) or at >= began + rule[6] then
            if not complete(ent) then
                drop(st, n)
            end

            prune_windows(c, st, rule[6])
            ord, j = open_instance(st, at)
        end

    else
        ord, j = open_instance(st, at)
    end

    st[j] = count(c, rule, slot, ord, st[j], k, list, which)
end


-- every instance that is open at the event's time counts it

local function opened(c, rule, slot, st, role, k, list, which)
    local at, span = c.at, rule[6]

    if role % 2 == 1 then
        for j = 5, #st, 3 do
            if at >= st[j - 1] and at < st[j - 1] + span then
                st[j] = count(c, rule, slot, st[j - 2], st[j], k, list,
                              which)
            end
        end
    end

    if role >= 2 then
        prune_windows(c, st, span)
        note(c, 12, slot, (open_instance(st, at)))
        note_number(c, rule[3])
    end
end


apply[2] = function(c, rule, args, i)
    local mode, shape = rule[4], rule[5]
    local slot = c.slot_index[rule[2]] or slot_of(c, rule[2])
    local st = state_of(c, slot)
    local a1, a2, a3, k, list, which

    if shape == EVERY then
        a1, a2, a3 = args[i], args[i + 1], args[i + 2]
        i = i + 3
    elseif shape > WINDOW then
        a1 = args[i]
        i = i + 1
    end

    if mode == 0 then
        k = 1
    elseif mode == 2 then
        k = c.amount or 0
    elseif mode == DISTINCT then
        list = args[i]
        i = i + 1
    else
        which = args[i]
        i = i + 1
        k = mode == 1 and items_quantity(c.items or {}, which)
            or items_amount(c.items or {}, which)
    end

    if not st then
        st = { shape * 8 + mode }
        set_state(c, slot, st)

        if shape >= WINDOW then
            st[2] = 1
        end
    end

    if shape == ONCE then
        st[2] = count(c, rule, slot, 0, st[2], k, list, which)
    elseif shape == EVERY then
        every(c, rule, slot, st, a1, a2, a3, k, list, which)
    elseif shape == WINDOW then
        window(c, rule, slot, st, k, list, which)
    else
        opened(c, rule, slot, st, a1, k, list, which)
    end

    return i
end


local function take_back(c, ent, slot)
    local paid = ent[3]

    ent[2], ent[3] = 0, 0

    if paid ~= 0 then
        for j = 1, #paid, 2 do
            revoke(c, paid[j], paid[j + 1], slot)
        end
    end
end


-- an entry that holds nothing any more; those of opens_on stay open

local function settle(st, j, ent)
    local shape = rshift(st[1], 3)

    if ent[2] > 0 or ent[4] ~= 0 and ent[1] > 0 then
        st[j] = ent
        return true
    end

    if shape == WINDOW and j < #st or shape <= WINDOW and ent[1] <= 0 then
        if shape == ONCE then
            return false
        end

        drop(st, j)

        -- an ordinal is never given twice, so a window's state stays
        return shape == WINDOW or #st > 1
    end

    st[j] = ent[1]
    return true
end


local function lower(c, slot, inst, goal, lost)
    local st = state_of(c, slot)
    local j = st and find_instance(st, inst)

    if not j then
        return
    end

    local ent = st[j]

    if type(ent) ~= 'table' then
        ent = { ent, 0, 0, 0 }
    end

    local before, done = ent[1], ent[2]
    local k = lost(ent)

    if k == 0 and ent[1] == before then
        return
    end

    if done == 0 or ent[1] < done then
        note(c, 3, slot, inst, ent[1], done > 0 and done or goal)

        if done > 0 then
            take_back(c, ent, slot)
        end
    end

    if not settle(st, j, ent) then
        c.states[slot] = false
    end
end


local function undo_number(c, slot, inst, goal, body, j, left)
    local st = state_of(c, slot)
    local mode = st and st[1] % 8
    local k = 0

    if mode == 0 then
        k = left.used and 1 or 0

    elseif mode == 2 then
        k = left.amount_was - left.amount_is

    elseif st then
        local was, is = items_lost(body, j, slot, left, mode == 1)
        k = was - is
    end

    lower(c, slot, inst, goal, function(ent)
        ent[1] = ent[1] - k
        return k
    end)
end


local function undo_values(c, slot, inst, goal, body, first, n, left)
    lower(c, slot, inst, goal, function(ent)
        local values, k = ent[4], 0

        for j = first, first + 2 * n - 2, 2 do
            local item, v = body[j], body[j + 1]
            local gone = left.used

            if item > 0 then
                local q = item * 2 - 1
                gone = left.was[q] > 0 and left.is[q] == 0
            end

            if gone and values ~= 0 and values[v] then
                values[v] = values[v] - 1
                k = k + 1

                if values[v] == 0 then
                    values[v] = nil
                    ent[1] = ent[1] - 1
                end
            end
        end

        return k
    end)
end


undo[3] = function(c, body, i, left)
    undo_number(c, body[i + 1], body[i + 2], body[i + 4], body, i + 5, left)
end


undo[4] = function(c, body, i, left)
    undo_number(c, body[i + 1], body[i + 2], 0, body, i + 3, left)
end


undo[5] = function(c, body, i, left)
    undo_values(c, body[i + 1], body[i + 2], body[i + 4], body, i + 6,
                body[i + 5], left)
end


undo[6] = function(c, body, i, left)
    undo_values(c, body[i + 1], body[i + 2], 0, body, i + 4, body[i + 3],
                left)
end


-- reversing an opener removes its instance and its award

undo[12] = function(c, body, i, left)
    local slot, inst = body[i + 1], body[i + 2]
    local st = left.used and state_of(c, slot)
    local j = st and find_instance(st, inst)

    if not j then
        return
    end

    note(c, 3, slot, inst, 0, body[i + 3])

    if complete(st[j]) then
        take_back(c, st[j], slot)
    end

    drop(st, j)
end
