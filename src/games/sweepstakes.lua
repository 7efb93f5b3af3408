--
-- Sweepstakes: tickets that are bought, free, awarded or imported, each a
-- record in the game's list of entries, until it closes; what is refunded is
-- voided by a record of its own.
--
-- enter_@H@
--     keys:   member, overflow, feed, aliases; then those of the target:
--             state, entries N, entries N + 1, gone
--     input:  now, needle, rest, member, constants, target, tickets, method,
--             id (what entry_commit commits to; "" for the record's own id)
--     output: "N" or "D", hashes, record; "O" and a reservation that is open;
--             or "E" and a code
--
-- A target is { hash, index of its first key, rule, person, entry_commit,
-- entry salt, N, { day, week, month }, generation, 1 where the member may be
-- awarded tickets }; or { hash, 0, why, close }: the node has stopped the
-- campaign, and only what is known is told.  A rule is { 5, hash, open,
-- close, what a record begins with, cost, limits, eligible }.
--
-- state in the game's slot: as in draws.lua, then phase, tickets, how many of
--         them were voided
-- state of a member: { tickets entered and not voided, day, in it, week, in
--         it, month, in it, entries }, entries being 16 bytes each: u48 seq,
--         u48 first ticket, u32 tickets
-- errors: not_open, closed, paused, clock_skew, not_eligible, limit_reached
--         (":" and the limit's unit), insufficient_balance,
--         idempotency_conflict; retry, the game's hash, and the right seq
--         where another chunk would have been the right one, else nothing:
--         the node does not know what holds by now
--

local TICKETS = 2                   -- kind of the award
local MOST = 140737488355328        -- 2^47: tickets stay below
local ENTRIES = 1024                -- of a member that are not voided
local BOUGHT, AWARDED = 1, 3        -- methods
local VOID = 1                      -- a record's flag
local Z = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'     -- half of it
          .. '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

-- the game's state, behind what draws.lua knows of it
local PHASE, SOLD, VOIDED = 6, 7, 8

local OPEN = 0                      -- the phase, others are in -close.lua


local function fail_retry(c, t, seq)
    c.failed = 'retry' .. t[1] .. seq
end


-- the target's game as it is in memory; nil where there is none

local function game_of(c, t)
    if t.game == nil then
        local key = t[2] > 0 and c.keys[t[2]]

        t.game = key and game_load(key, t[9]) or false
        t.rule = key and constant(t[3])

        if key and not t.game then
            fail_retry(c, t, '')
        end
    end

    return t.game
end


-- why nobody enters now, or nil: by the clock, and by the game

local function outside(rule, now)
    return now < rule[3] and 'not_open' or now >= rule[4] and 'closed' or nil
end


local function shut(g, rule, now)
    local why = outside(rule, now)

    if why then
        return why
    elseif g[PHASE] ~= OPEN then
        return 'closed'
    elseif g[DRAWN_PAUSED] ~= 0 then
        return 'paused'
    end
end


-- What leaves memory once nothing can be refused any more.  Where the log is
-- damaged, another try finds the game paused.

local function flush(c, t)
    local key, records = t[2], t.records

    for k = 0, 1 do
        if records[k] and not put_record(c.keys[key + 1 + k], c.keys[key],
                                         records[k + 2], records[k])
        then
            fail_retry(c, t, '')
            return
        end
    end

    game_save(c.keys[key], t.game)
end


-- Appends a record; returns its seq, or nil: the keys are not those of the
-- chunk that it belongs to.  t.records[0] and [1] are what N and N + 1 get,
-- [2] and [3] where.

local function book(c, t, g, first, n, commit, method, flags)
    local seq = g[DRAWN_RECORDS]
    local k = (seq - seq % CHUNK) / CHUNK - t[7]

    if k ~= 0 and k ~= 1 then
        fail_retry(c, t, fmt('%.0f', seq))
        return
    end

    local records = t.records or {}

    records[k + 2] = records[k + 2] or seq % CHUNK * 132
    records[k] = (records[k] or '') .. t.rule[5]
                 .. spack('>I8I8I8I4', seq, c.now, first, n) .. t[4] .. commit
                 .. char(method, flags)

    g[DRAWN_RECORDS] = seq + 1
    t.records, t.flush = records, flush

    return seq
end


-- the member's state, made where there is none

local function entered(c, slot)
    local st = state_of(c, slot)

    if not st then
        st = { 0, 0, 0, 0, 0, 0, 0, '' }
        set_state(c, slot, st)
    end

    return st
end


-- whether the member was erased after having entered

local function barred(c, t, st)
    return #st[8] == 0 and was_erased(c.keys[t[2] + 3], t[4])
end


-- the limit of the member's that n more tickets would pass: its unit, or nil

local function reserve(st, limits, n, periods)
    if #st[8] >= 16 * ENTRIES then
        return 0
    end

    local left, unit = allowed(st, 1, limits, periods)

    return left and left < n and unit or nil
end


-- the game's own limit

local function full(g, n)
    return g[SOLD] + n >= MOST
end


-- Tickets of the game: their record, its seq and the first of them; or nil.

local function sell(c, t, g, n, method)
    local first = g[SOLD]
    local seq = book(c, t, g, first, n, t[5], method, 0)

    if seq then
        g[SOLD] = first + n
    end

    return seq, first
end


-- and as the member's: the range in the state, an entry of the record

local function settle(c, slot, st, seq, first, n, method, salt, id, periods)
    count_up(st, 1, periods, n)
    st[8] = st[8] .. spack('>I6I6I4', seq, first, n)

    local e, i = c.entries, c.n
    e[i + 1], e[i + 2], e[i + 3], e[i + 4] = 15, slot, seq, first
    e[i + 5], e[i + 6], e[i + 7], e[i + 8] = n, method, salt, id
    c.n = i + 8
end


-- tickets that nothing forbids; returns the record's seq

local function enter(c, t, g, slot, st, n, method, id)
    local seq, first = sell(c, t, g, n, method)

    if seq then
        settle(c, slot, st, seq, first, n, method, t[6], id, t[8])
    end

    return seq
end


-- Why an award has no tickets, or nil.  Where there would be some, but the
-- node's clock is off, their record would have a wrong time: c.failed.

local function denied(c, t, g)
    if not g then
        return t[3]
    end

    local redis = clock()
    local off = redis - c.now
    local late = off > SKEW or off < -SKEW
    local why = shut(g, t.rule, late and redis or c.now)

    if why then
        return why
    elseif late then
        c.failed = 'clock_skew'
    elseif t[10] ~= 1 or not eligible(c, t.rule[8]) then
        return 'not_eligible'
    end
end


-- An award: outside of open and close, paused or over a limit there are no
-- tickets.  The event counts all the same, and its record says why.

granting[TICKETS] = function(c, h, n)
    local t = c.targets[h]
    local g = t and game_of(c, t)

    if not t or not g and t[2] > 0 then
        return 0, 0                 -- c.failed: all of it is done anew
    end

    local slot = slot_of(c, h)
    local why = denied(c, t, g)

    if c.failed then
        return 0, 0
    end

    local st = not why and entered(c, slot)

    if st then
        why = barred(c, t, st) and 'not_eligible'
              or (full(g, n) or reserve(st, t.rule[7], n, t[8]))
                 and 'limit_reached'
    end

    if why then
        local e, i = c.entries, c.n
        e[i + 1], e[i + 2], e[i + 3], e[i + 4] = 21, slot, n, why
        c.n = i + 4

        return 0, 0
    end

    return slot, enter(c, t, g, slot, st, n, AWARDED, '') or 0
end


-- takes the entry with this seq off the member's; its range, or nil

local function withdraw(st, seq)
    local entries = st[8]

    for at = 1, #entries, 16 do
        local s, first, n = sunpack('>I6I6I4', entries, at)

        if s == seq then
            st[1] = st[1] - n
            st[8] = sub(entries, 1, at - 1) .. sub(entries, at + 16)

            return first, n
        end
    end
end


-- Voids an entry, whoever entered it how; none after the close, and none
-- twice.  What a node cannot void now, by its clock or because it has stopped
-- the campaign, keeps its event from being reversed.

local function void(c, h, slot, seq, method)
    local t = c.targets[h]
    local g = t and game_of(c, t)
    local st = state_of(c, slot)

    if t and t[2] == 0 and st and c.now < t[4] then
        c.failed = t[3]
        return
    end

    if not g or not st or c.now >= t.rule[4] or g[PHASE] ~= OPEN then
        return
    elseif not on_time(c.now) then
        c.failed = 'clock_skew'
        return
    end

    local first, n = withdraw(st, seq)
    local own = first and book(c, t, g, first, n, Z, method, VOID)

    if own then
        g[VOIDED] = g[VOIDED] + n

        local e, i = c.entries, c.n
        e[i + 1], e[i + 2], e[i + 3] = 16, slot, own
        e[i + 4], e[i + 5] = first, n
        c.n = i + 5
    end
end


revoking[TICKETS] = function(c, slot, seq)
    void(c, sub(c.slots, slot * 4 - 3, slot * 4), slot, seq,
         AWARDED)
end


local function ask(keys, now, needle, rest, member, constants, t, n, method,
                   id)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    aim(c, keys, { t })

    local g = game_of(c, t)

    if not g then
        return 'E' .. (c.failed or t[3])
    end

    local rule = t.rule
    local code = not on_time(now) and 'clock_skew' or shut(g, rule, now)
                 or not eligible(c, rule[8]) and 'not_eligible'

    if code then
        return 'E' .. code
    end

    local slot = slot_of(c, t[1])
    local st = entered(c, slot)
    local under = reserved(c, slot)

    if under then
        return 'O' .. under
    end

    if barred(c, t, st) then
        return 'Enot_eligible'
    end

    local unit = full(g, n) and 0 or reserve(st, rule[7], n, t[8])

    if unit then
        return 'Elimit_reached:' .. unit
    end

    if method == BOUGHT and rule[6][1] == 1 then
        code = charge(c, rule[6][2], n * rule[6][3], slot)

        if code then
            return 'E' .. code
        end
    end

    enter(c, t, g, slot, st, n, method, id)

    return remember(c, keys, needle, rest, slot)
end


act('enter', ask)
