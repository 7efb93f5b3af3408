--
-- From the close of a sweepstakes to its draw.  The leader computes, here is
-- what it has done so far: whoever takes over goes on from there, and what
-- two leaders do at a time counts once.
--
-- The hash "meta" holds beside what others keep there:
--     done      entries that the Merkle frontier covers
--     frontier  the frontier, as the leader encodes it
--     index     8 bytes a chunk: tickets before it
--     ended     when the close statement was made, ms
--     round     what it waits for, 0: a timestamp
--     late      1: the timestamp came after the round
--     drawn     when it was drawn, ms
--     key       K_draw, from which fresh alternates are drawn
--
-- closing_@H@    open -> closing, when the time has come by the last version
--     keys:   state, meta
--     input:  close, ms; generation: who has another one knows another close
--     output: phase, seq, tickets, done, frontier, index, K_draw, time of the
--             close note's earliest timestamp or 0; nothing where it is held:
--             it stands still
-- covered_@H@    more entries are covered
--     keys:   state, meta, voids
--     input:  done before, done, frontier, more of the index, first tickets
--             of entries that were voided (8 bytes each)
--     output: "N", or "R": another leader was there
-- slice_@H@      (no writes) a part of a string
--     keys:   a chunk of entries, or voids
--     input:  from which byte, how many
--     output: as many as there are
-- closed_@H@     closing -> closed
--     keys:   state, meta, file "close"
--     input:  entries, the note, when
--     output: "N", "D": it is closed, or "R": not all entries are covered
-- owners_@H@     (no writes) who holds tickets
--     keys:   chunks of entries
--     input:  index of a key, ticket, ...
--     output: for each the record of the entry; nil: no such ticket
-- waiting_@H@    closed -> waiting, or waiting for something else
--     keys:   state, meta
--     input:  round, 0: for the outsider's timestamp; 1 when it is late
--     output: "N", or "D": there is nothing to wait for
-- drawn_@H@      closed or waiting -> drawn
--     keys:   state, meta, winners, file "picks", file "reveal"
--     input:  when, time of the timestamp that the round rests on (0: of
--             none), picks, reveal, array of the prize (its row) of each
--             position that has one; who is at each position that was
--             filled, in order; K_draw
--     output: "N", "D": there is a result, and it stands, or "R": there is
--             an earlier timestamp by now
-- sweepstakes_@H@  (no writes) where it stands
--     keys:   state, meta; then winners; then a member's
--     input:  with winners, the member's person, or "" without a member
--     output: phase, paused, entries, tickets, voided tickets, done, ended,
--             round, late; then of the first 1000 positions u32 row, u8
--             status and 48 bytes of who (zeros: nobody), the position of the
--             member's prize and what is said of it (sweepstakes-winners.lua),
--             and the member; nothing at all when there is no such state
-- errors: a state that does not decode
--

-- phases behind OPEN
local CLOSING, CLOSED, WAITING, DRAWN = 1, 2, 3, 4

local HELD_BACK = 2                 -- paused, from here on: nothing is closed

-- what became of a prize
local HELD, CLAIMED, VACANT, AWAITING = 0, 1, 3, 4

local STAMP = 't:close:0'           -- in meta: the earliest timestamp
local RECORD_SIZE = 132
local FIRST = 54                    -- where in a record the ticket stands
local FLAGS = 131
local RUN = 32                      -- records read at a time behind a void
local TOLD = 1000                   -- winners in one reply
local WHO = 48                      -- bytes: u64 seq, person, u64 ticket
local NOBODY = Z .. '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'


local function state_at(key)
    local raw = call('GET', key)

    if not raw then
        error('no sweepstakes at ' .. key)
    end

    return { unpack_all(raw) }
end


local function closing(keys, close, generation)
    local g = state_at(keys[1])

    if g[DRAWN_PAUSED] >= HELD_BACK then
        return {}
    end

    if g[PHASE] == OPEN and g[DRAWN_GENERATION] == generation
       and clock() >= close + SKEW
    then
        g[PHASE] = CLOSING
        game_save(keys[1], g)
    end

    local m = call('HMGET', keys[2], 'done', 'frontier', 'index', 'key',
                   STAMP)

    return { g[PHASE], fmt('%.0f', g[DRAWN_RECORDS]), fmt('%.0f', g[SOLD]),
             m[1] or '0', m[2] or '', m[3] or '', m[4] or '', m[5] or '0' }
end


local function slice(keys, from, n)
    return call('GETRANGE', keys[1], fmt('%.0f', from),
                fmt('%.0f', from + n - 1))
end


local function covered(keys, before, done, frontier, index, voids)
    local g = state_at(keys[1])
    local known = call('HGET', keys[2], 'done') or '0'

    if g[PHASE] ~= CLOSING or known ~= fmt('%.0f', before) then
        return 'R'
    end

    local chunks = call('HGET', keys[2], 'index') or ''

    call('HSET', keys[2], 'done', fmt('%.0f', done), 'frontier', frontier,
         'index', chunks .. index)

    if voids ~= '' then
        call('APPEND', keys[3], voids)
    end

    return 'N'
end


local function closed(keys, entries, note, now)
    local g = state_at(keys[1])

    if g[PHASE] > CLOSING then
        return 'D'
    end

    local done = call('HGET', keys[2], 'done') or '0'

    if g[PHASE] ~= CLOSING or g[DRAWN_RECORDS] ~= entries
       or done ~= fmt('%.0f', entries)
    then
        return 'R'
    end

    g[PHASE] = CLOSED

    call('SET', keys[3], note)
    call('HSET', keys[2], 'ended', fmt('%.0f', now))
    game_save(keys[1], g)

    return 'N'
end


-- the record at or before i that is no void, and its place; nil: none from
-- lo on

local function entry_before(key, lo, i)
    while i >= lo do
        local from = i - RUN + 1

        if from < lo then
            from = lo
        end

        local run = call('GETRANGE', key, from * RECORD_SIZE,
                         (i + 1) * RECORD_SIZE - 1)

        while i >= from do
            local at = (i - from) * RECORD_SIZE

            if byte(run, at + FLAGS + 1) % 2 == 0 then
                return sub(run, at + 1, at + RECORD_SIZE), i
            end

            i = i - 1
        end
    end
end


-- Entries of a chunk have their tickets in order; voids between them repeat
-- earlier ones.

local function owner(key, ticket)
    local lo = 0
    local hi = call('STRLEN', key) / RECORD_SIZE

    while lo < hi do
        local mid = (lo + hi - (lo + hi) % 2) / 2
        local entry = call('GETRANGE', key, mid * RECORD_SIZE,
                           (mid + 1) * RECORD_SIZE - 1)
        local at = mid

        if byte(entry, FLAGS + 1) % 2 == 1 then
            entry, at = entry_before(key, lo, mid - 1)
        end

        if not entry then
            lo = mid + 1

        else
            local first, n = sunpack('>I8I4', entry, FIRST + 1)

            if ticket < first then
                hi = at
            elseif ticket >= first + n then
                lo = mid + 1
            else
                return entry
            end
        end
    end

    return false
end


local function owners(keys, ...)
    local list, out = { ... }, {}

    for j = 1, #list, 2 do
        out[#out + 1] = owner(keys[list[j]], list[j + 1])
    end

    return out
end


local function waiting(keys, round, late)
    local g = state_at(keys[1])

    if g[PHASE] ~= CLOSED and g[PHASE] ~= WAITING then
        return 'D'
    end

    call('HSET', keys[2], 'round', fmt('%.0f', round), 'late', late)

    if g[PHASE] == CLOSED then
        g[PHASE] = WAITING
        game_save(keys[1], g)
    end

    return 'N'
end


-- What is remembered of winners, sweepstakes-winners.lua reads it: those
-- who have a prize, and the alternates.

local WON = 500                     -- fields written at a time


local function write_winners(key, now, prizes, filled)
    local put, n = {}, 0
    local positions = #filled / WHO

    for p = 0, (positions > #prizes and positions or #prizes) - 1 do
        local who = sub(filled, p * WHO + 1, (p + 1) * WHO)

        if p >= #prizes then
            put[n + 1], put[n + 2] = 'a' .. (p - #prizes), who
            n = n + 2

        else
            put[n + 1] = 'p' .. p
            put[n + 2] = pack(prizes[p + 1], who ~= '' and HELD or VACANT,
                              now, who)
            n = n + 2

            if who ~= '' then
                put[n + 1], put[n + 2] = 'h' .. sub(who, 9, 40), fmt('%.0f', p)
                n = n + 2
            end
        end

        if n >= WON then
            call('HSET', key, unpack(put, 1, n))
            n = 0
        end
    end

    call('HSET', key, 'prizes', #prizes, 'next', 0, 'k', 0, 'settled', 0,
         unpack(put, 1, n))
end


local function drawn(keys, now, stamped, picks, reveal, prizes, filled, key)
    local g = state_at(keys[1])

    if g[PHASE] == DRAWN then
        return 'D'
    end

    if g[PHASE] ~= CLOSED and g[PHASE] ~= WAITING
       or stamped > 0 and call('HGET', keys[2], STAMP) ~= fmt('%.0f', stamped)
    then
        return 'R'
    end

    g[PHASE] = DRAWN

    if picks ~= '' then
        call('SET', keys[4], picks)
    end

    if reveal ~= '' then
        call('APPEND', keys[5], reveal)
    end

    write_winners(keys[3], now, prizes, filled)
    call('HSET', keys[2], 'drawn', fmt('%.0f', now), 'key', key)
    game_save(keys[1], g)

    return 'N'
end


local function told(key)
    local n = tonumber(call('HGET', key, 'prizes'))
    local names, out = {}, {}

    for p = 1, n < TOLD and n or TOLD do
        names[p] = 'p' .. p - 1
    end

    local raw = call('HMGET', key, unpack(names))

    for p = 1, #names do
        local row, status, _, who = unpack_all(raw[p])

        out[p] = spack('>I4I1', row, status)
                 .. (who ~= '' and who or NOBODY)
    end

    return concat(out)
end


local function sweepstakes(keys, person)
    local raw = call('GET', keys[1])

    if not raw then
        return {}
    end

    local g = { unpack_all(raw) }
    local m = call('HMGET', keys[2], 'done', 'ended', 'round', 'late')
    local out = { g[PHASE], g[DRAWN_PAUSED], fmt('%.0f', g[DRAWN_RECORDS]),
                  fmt('%.0f', g[SOLD]), fmt('%.0f', g[VOIDED]),
                  m[1] or '0', m[2] or '0', m[3] or '0', m[4] or '0' }

    if person then
        local position = call('HGET', keys[3], 'h' .. person)

        out[10] = g[PHASE] == DRAWN and told(keys[3]) or ''
        out[11] = position or ''
        out[12] = position and call('HGET', keys[3], 'p' .. position) or ''
        out[13] = keys[4] and call('GET', keys[4]) or ''
    end

    return out
end


act('closing', closing)
act('slice', slice, { 'no-writes' })
act('covered', covered)
act('closed', closed)
act('owners', owners, { 'no-writes' })
act('waiting', waiting)
act('drawn', drawn)
act('sweepstakes', sweepstakes, { 'no-writes' })
