--
-- Instant win: a play is paid for, drawn, taken out of the stock, written
-- into the log and remembered in one step.  It is made of three transitions,
-- reserve (the member's), draw (the game's) and settle (the member's), which
-- know nothing of each other's slot in Redis; instant_win-split.lua makes
-- them one after another.
--
-- play_@H@
--     keys:   member, overflow, feed, aliases, state, log N, log N + 1,
--             gone; then those of the targets, then the unused codes of the
--             pools
--     input:  t, needle, rest, member, constants, rule, generation, N, why it
--             cannot be drawn ("": it can), e, R_p, degraded (0 or 1), { day,
--             week, month }, person, base, width, draws, targets or nil
--     output: "N" or "D", hashes, record, then the 189 bytes of the play in
--             the log; "E" and a code; "O" and a reservation that is open; or
--             "R" and what nginx has to know before it tries again, nothing
--             being written:
--             t and ms    Redis's clock: t, its epoch or its period is past
--             i and idx   which idx it is
--             c and idx   none of the draws for idx is accepted
--             l and seq   which record it is, where N is not its chunk
--             a and n     how many units are awarded (moments)
--             g           another generation holds
--
-- draws: of odds and decks u, 32 bytes each, for idx = base, base + 1, ...
-- and for each of them width values of ctr, from 0.  Of moments base is the
-- place of the first unit in draws among all in the order in which they are
-- due, width the number of those due at t, draws { unit, row, ... }.
--
-- A rule is { 4, hash, what a record begins with, version, mode, open, close,
-- L, wins_per_member, denominator of the odds, { name hash, stock, weight,
-- pool, { award kind, hash, amount, ... }, ... }, cost, limits, eligible }.
-- Stock -1 is unlimited; a deck's last row is its blanks; pool is the key of
-- the prize's unused codes, "" where it has none.
--
-- state in the game's slot: as in draws.lua, then the greatest R_p in the
--         log, the name hashes of all rows so far, and how many of each were
--         awarded (of blanks: drawn)
-- state of a member: { plays awarded and not used, wins, plays, day, in it,
--         week, in it, month, in it, e, R_p, next idx, ... }
-- errors: not_open, closed, paused, not_eligible, insufficient_balance,
--         sold_out, beacon_unavailable, idempotency_conflict, limit_reached
--         (":" and the limit's unit; a number that would pass 2^53 has none)
--

local PLAYS = 3                     -- kind of the award
local ODDS, MOMENTS = 1, 3          -- modes; 2 is a deck
local LOSE, WIN, EMPTY, ENOUGH = 0, 1, 2, 3      -- status
local DEGRADED = 256
local RECORDED = 189                -- bytes of a play in the log
local NONE = 4294967295             -- half of what stands for none
local TWO_48 = 281474976710656
local Z = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'     -- half of it
          .. '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

-- the rule
local PREFIX, VERSION, MODE, OPEN, CLOSE, LENGTH, WINS = 3, 4, 5, 6, 7, 8, 9
local LCM, ROWS, COST, LIMITS, ELIGIBLE = 10, 11, 12, 13, 14
local ROW = 5                       -- values of a row

-- the game's state, behind what draws.lua knows of it
local TOP, NAMES = 6, 7             -- counts follow

-- a member's state
local BANK, WON, PLAYED, SEEN = 1, 2, 3, 10


-- What a draw came to, made once: each play sets every field anew.

local drawn = {
    n = 0, r = 0, ctr = 0, u = Z, row = 0, tier = 0, serial = 0, status = 0,
    code = false, record = '', chunk = 0
}


-- pick48() of the u that stands behind the first o bytes of us: nil when
-- none of its five words is accepted

local function pick48(us, o, n)
    local top = TWO_48 - TWO_48 % n

    for i = o + 1, o + 25, 6 do
        local b1, b2, b3, b4, b5, b6 = byte(us, i, i + 5)
        local w = ((((b1 * 256 + b2) * 256 + b3) * 256 + b4) * 256 + b5)
                  * 256 + b6

        if w < top then
            return w % n
        end
    end
end


-- where the count of a row is in the game's state

local function count_at(g, name)
    local i = index_of(g[NAMES])[name]

    if not i then
        g[NAMES] = g[NAMES] .. name
        i = #g[NAMES] / 4
        g[NAMES + i] = 0
    end

    return NAMES + i
end


-- ---- the game's part ----

-- Why the game cannot be played at t: a code, or what to try again with.

local function shut(rule, t)
    if t < rule[OPEN] then
        return 'Enot_open'
    elseif t >= rule[CLOSE] then
        return 'Eclosed'
    end
end


local function halted(g, rule, t, e, R, degraded)
    local now = clock()

    if t > now + SKEW or t < now - SKEW or e <= g[DRAWN_OVER]
       or e ~= (t - rule[OPEN] - (t - rule[OPEN]) % rule[LENGTH])
               / rule[LENGTH] + 1
    then
        return 'Rt' .. fmt('%.0f', now)
    elseif g[DRAWN_PAUSED] ~= 0 then
        return 'Epaused'
    elseif degraded ~= 0 and R < g[TOP] - 1 then
        return 'Ebeacon_unavailable'
    end
end


-- How many there are to draw from, and in a deck how many of each row.

local function cards(g, rows)
    local n, left = 0, {}

    for i = 1, #rows, ROW do
        local k = rows[i + 1] - g[count_at(g, rows[i])]

        left[i] = k > 0 and k or 0
        n = n + left[i]
    end

    return n, left
end


-- The u that decides: ctr counts up to the first one that is accepted.

local function sample(us, o, width, n)
    for ctr = 0, width - 1 do
        local r = pick48(us, o + 32 * ctr, n)

        if r then
            drawn.n, drawn.r, drawn.ctr = n, r, ctr
            drawn.u = sub(us, o + 32 * ctr + 1, o + 32 * ctr + 32)

            return r
        end
    end
end


-- the row that r falls into, 0: past the end

local function walk(rows, weights, offset, r)
    for i = 1, #rows, ROW do
        r = r - weights[i + offset]

        if r < 0 then
            return i
        end
    end

    return 0
end


-- Odds and decks: the row of the table, or what to answer instead.

local function draw_row(g, rule, idx, base, width, us)
    local rows, n, left = rule[ROWS], rule[LCM], nil

    if rule[MODE] ~= ODDS then
        n, left = cards(g, rows)

        if n == 0 then
            return nil, 'Esold_out'
        end
    end

    local o = (idx - base) * width * 32

    if o < 0 or o >= #us then
        return nil, 'Ri' .. idx
    end

    local r = sample(us, o, width, n)

    if not r then
        return nil, 'Rc' .. idx
    end

    return walk(rows, left or rows, left and 0 or 2, r)
end


-- Moments: the unit that is due first, of those that are not awarded.

local function draw_moment(g, rule, base, due, units)
    local rows, awarded = rule[ROWS], 0

    drawn.n, drawn.r, drawn.ctr, drawn.u = 0, -1, 0, Z

    for i = 1, #rows, ROW do
        awarded = awarded + g[count_at(g, rows[i])]
    end

    if awarded >= due then
        return 0
    end

    local i = (awarded - base) * 2 + 1

    if not units[i] then
        return nil, 'Ra' .. awarded
    end

    drawn.n, drawn.r = due - awarded, units[i]

    return units[i + 1] * ROW + 1
end


-- What became of the row: its stock and the member's wins decide.

local function award_row(g, rule, row, wins)
    local rows = rule[ROWS]

    drawn.row, drawn.tier, drawn.serial, drawn.status = row, -1, -1, LOSE

    if row == 0 then
        return
    end

    local at = count_at(g, rows[row])
    local stock, taken = rows[row + 1], g[at]

    if rows[row] == '\0\0\0\0' then
        g[at] = taken + 1               -- a blank

        return
    end

    drawn.tier = (row - 1) / ROW

    if stock >= 0 and taken >= stock then
        drawn.status = EMPTY

    elseif rule[WINS] > 0 and wins >= rule[WINS] then
        drawn.status = ENOUGH

    else
        drawn.status = WIN
        drawn.serial = stock >= 0 and taken or -1
        g[at] = taken + 1
    end
end


local function high(x)
    return x < 0 and NONE or (x - x % 4294967296) / 4294967296
end


local function low(x)
    return x < 0 and NONE or x % 4294967296
end


-- Draws, and makes the record of it: nil, or what to answer instead.  In
-- memory only; first is the number of the chunk that is at hand.

local function draw(g, rule, t, e, R, degraded, person, id, idx, wins, first,
                    base, width, draws)
    local seq = g[DRAWN_RECORDS]
    local chunk = (seq - seq % CHUNK) / CHUNK - first

    if chunk ~= 0 and chunk ~= 1 then
        return 'Rl' .. fmt('%.0f', seq)
    end

    local row, other

    if rule[MODE] == MOMENTS then
        R, idx = 0, 0
        row, other = draw_moment(g, rule, base, width, draws)

    else
        row, other = draw_row(g, rule, idx, base, width, draws)
    end

    if not row then
        return other
    end

    award_row(g, rule, row, wins)

    local d = drawn

    if degraded ~= 0 then
        d.status = d.status + DEGRADED
    end

    d.record = rule[PREFIX]
        .. spack('>I8I8I4I8', seq, t, e, R) .. person .. id
        .. spack('>I4I4BI8I4I4I4I4I4I4', idx, d.ctr, rule[MODE], d.n,
                 high(d.r), low(d.r), d.tier < 0 and NONE or d.tier,
                 high(d.serial), low(d.serial), d.status)
        .. d.u
    d.chunk, d.code = chunk, false

    g[DRAWN_RECORDS] = seq + 1

    if R > g[TOP] then
        g[TOP] = R
    end
end


-- ---- the member's part ----

local function player(c, slot)
    local st = state_of(c, slot)

    if not st then
        st = { 0, 0, 0, 0, 0, 0, 0, 0, 0 }
        set_state(c, slot, st)
    end

    return st
end


local function next_idx(st, e, R)
    for i = SEEN, #st, 3 do
        if st[i] == e and st[i + 1] == R then
            return st[i + 2]
        end
    end

    return 0
end


-- A day that a clock has left is not counted in again: what was counted in
-- it is forgotten.

local function period_past(st, limits, periods)
    for i = 1, #limits, 2 do
        local unit = limits[i]

        if unit > 0 and st[PLAYED + 2 * unit - 1] > periods[unit] then
            return true
        end
    end

    return false
end


-- Whether the member may play, and the price: what to answer instead, or nil
-- and wallet, points, plays.  Awarded plays go first.  gone is the key of who
-- was erased.

local function reserve(c, rule, st, periods, gone, person)
    if period_past(st, rule[LIMITS], periods) then
        return 'Rt' .. fmt('%.0f', clock())
    end

    if st[PLAYED] == 0 and was_erased(gone, person)
       or not eligible(c, rule[ELIGIBLE])
    then
        return 'Enot_eligible'
    end

    local left, unit = allowed(st, PLAYED, rule[LIMITS], periods)

    if left and left < 1 then
        return 'Elimit_reached:' .. unit
    end

    local cost = rule[COST]
    local kind, amount = cost[1], cost[3]

    if kind == 0 then
        return nil, '', 0, 0
    end

    if kind == PLAYS or st[BANK] > 0 then
        amount = kind == PLAYS and amount or 1

        if st[BANK] < amount then
            return 'Einsufficient_balance'
        end

        return nil, '', 0, amount
    end

    local w = c.wallet_index[cost[2]]

    if not w or available(c, w) < amount then
        return 'Einsufficient_balance'
    end

    return nil, cost[2], amount, 0
end


local function note_plays(c, slot, amount)
    local x, n = c.entries, c.n

    x[n + 1], x[n + 2], x[n + 3] = 17, slot, amount
    c.n = n + 3
end


-- takes the price, which may have been put aside: it is not looked at again

local function pay(c, slot, st, h, points, plays)
    if plays > 0 then
        st[BANK] = st[BANK] - plays
        note_plays(c, slot, -plays)

    elseif points > 0 then
        spend(c, wallet_of(c, h), points, slot)
    end
end


-- How many more plays there may be by limits and price, -1 for no end.

local function plays_left(c, rule, st, periods)
    local left = allowed(st, PLAYED, rule[LIMITS], periods)
    local kind, amount = rule[COST][1], rule[COST][3]
    local paid = nil

    if kind == PLAYS then
        paid = (st[BANK] - st[BANK] % amount) / amount

    elseif kind == 1 then
        local w = c.wallet_index[rule[COST][2]]
        local balance = w and available(c, w) or 0

        paid = balance > 0 and (balance - balance % amount) / amount or 0
        paid = paid + (st[BANK] > 0 and st[BANK] or 0)
    end

    if paid and (not left or paid < left) then
        left = paid
    end

    return left and (left > 0 and left or 0) or -1
end


-- Counts this idx as used; values of e and R_p that no clock can come back
-- to are forgotten.

local function use_idx(st, e, R)
    local top_e, top_R, n, found = e, R, #st, false

    for i = SEEN, n, 3 do
        if st[i] == e and st[i + 1] == R then
            st[i + 2] = st[i + 2] + 1
            found = true
        end

        top_e = st[i] > top_e and st[i] or top_e
        top_R = st[i + 1] > top_R and st[i + 1] or top_R
    end

    if not found then
        st[n + 1], st[n + 2], st[n + 3] = e, R, 1
        n = n + 3
    end

    local k = SEEN

    for i = SEEN, n, 3 do
        if st[i] >= top_e - 1 and st[i + 1] >= top_R - 1 then
            st[k], st[k + 1], st[k + 2] = st[i], st[i + 1], st[i + 2]
            k = k + 3
        end
    end

    for i = n, k, -1 do
        st[i] = nil
    end
end


-- What the draw came to gets into the member's account; unpaid: without what
-- the prize awards.

local function settle(c, rule, slot, st, seq, e, R, periods, unpaid)
    local d = drawn
    local won = d.status % DEGRADED == WIN

    count_up(st, PLAYED, periods, 1)

    if rule[MODE] ~= MOMENTS then
        use_idx(st, e, R)
    end

    if won then
        st[WON] = st[WON] + 1
    end

    local x, n = c.entries, c.n

    x[n + 1], x[n + 2], x[n + 3], x[n + 4] = 14, slot, seq, d.tier
    x[n + 5], x[n + 6], x[n + 7], x[n + 8] = d.status, rule[VERSION], d.code, 0
    c.n = n + 8

    local awards = won and not unpaid and rule[ROWS][d.row + 4]

    if awards and #awards > 0 then
        local tier = tier_of(c.program[5], lifetime(c))

        for i = 1, #awards, 3 do
            grant(c, awards[i], awards[i + 1], awards[i + 2], slot)
        end

        note_tier(c, tier)
    end

    x[n + 8] = plays_left(c, rule, st, periods)
end


-- ---- awards of plays ----

granting[PLAYS] = function(c, h, amount)
    local slot = slot_of(c, h)
    local st = player(c, slot)

    if st[BANK] + amount > MAX then
        c.failed = 'limit_reached'

        return 0, 0
    end

    st[BANK] = st[BANK] + amount
    note_plays(c, slot, amount)

    return slot, amount
end


-- below zero, too: what is awarded next pays for plays that were used

revoking[PLAYS] = function(c, slot, amount)
    local st = player(c, slot)

    if st[BANK] - amount < -MAX then
        c.failed = 'limit_reached'

        return
    end

    st[BANK] = st[BANK] - amount
    note_plays(c, slot, -amount)
end


SUMMED[PLAYS] = true


-- ---- in one step ----

-- No prize may be drawn that has no code behind it; the keys of the pools
-- begin at first.

local function pools_empty(g, rule, keys, first)
    local rows = rule[ROWS]

    if rule.pools == nil then
        rule.pools = false

        for i = 1, #rows, ROW do
            rule.pools = rule.pools or rows[i + 3] ~= ''
        end
    end

    for i = 1, rule.pools and #rows or 0, ROW do
        local pool, stock = rows[i + 3], rows[i + 1]

        if pool ~= '' and (stock < 0 or g[count_at(g, rows[i])] < stock)
           and not (among(pool, keys, first) and call('EXISTS', pool) == 1)
        then
            return true
        end
    end

    return false
end


-- Nor one with an award that has nothing left to give: a reward that is sold
-- out.

local function awards_gone(c, g, rule)
    local rows, scarce = rule[ROWS], rule.scarce

    if not scarce then
        scarce = {}

        for i = 1, #rows, ROW do
            local awards = rows[i + 4]

            for j = 1, #awards, 3 do
                if lacking[awards[j]] then
                    scarce[#scarce + 1] = { i, lacking[awards[j]],
                                            awards[j + 1] }
                end
            end
        end

        rule.scarce = scarce
    end

    for j = 1, #scarce do
        local i, gone, h = unpack(scarce[j])
        local stock = rows[i + 1]

        if (stock < 0 or g[count_at(g, rows[i])] < stock) and gone(c, h) then
            return true
        end
    end

    return false
end


-- where the log has a play that the member remembers

local function known_seq(c, reply)
    local body, i = body_of(sub(reply, 5 + #c.whashes + #c.slots)), HEAD + 1

    while body[i] ~= 14 do
        i = entry_end(body, i)
    end

    return body[i + 2]
end


-- its bytes there, or what to answer when its chunk is none of the two at
-- keys[k] and behind it

local function recorded(keys, k, first, seq)
    local chunk = (seq - seq % CHUNK) / CHUNK - first

    if chunk ~= 0 and chunk ~= 1 then
        return nil, 'Rl' .. fmt('%.0f', seq)
    end

    local at = seq % CHUNK * RECORDED

    return call('GETRANGE', keys[k + chunk], at, at + RECORDED - 1)
end


-- A play that is known: its record in the log goes with the reply.

local function known_play(c, keys, reply, first)
    if byte(reply) ~= 68 then           -- "D"
        return reply
    end

    local record, other = recorded(keys, 6, first, known_seq(c, reply))

    return other or reply .. record
end


-- what leaves memory once nothing can be refused any more

local function flush(c, own)
    local keys, d, g = c.keys, drawn, own.game

    if put_record(keys[6 + d.chunk], keys[5],
                  (g[DRAWN_RECORDS] - 1) % CHUNK * RECORDED, d.record)
    then
        game_save(keys[5], g)
    else
        c.failed = 'paused'
    end
end


local own = { '', 5, flush = flush, game = false }


local function play(keys, t, needle, rest, member, constants, blob,
                    generation, first, bar, e, R, degraded, periods, person,
                    base, width, draws, targets)
    local c, known = request(keys, t, needle, rest, member, constants)

    if known then
        return known_play(c, keys, known, first)
    end

    local rule = memo[blob] or constant(blob)
    local other = shut(rule, t) or bar ~= '' and 'E' .. bar

    if other then
        return other
    end

    local g = game_load(keys[5], generation)

    if not g then
        return 'Rg'
    end

    local h = rule[2]

    own[1], own.game = h, g

    if targets then
        targets[#targets + 1] = own
        aim(c, keys, targets)
    else
        c.keys, c.targets = keys, { [h] = own }
    end

    local slot = slot_of(c, h)
    local st = player(c, slot)

    local under = reserved(c, slot)

    if under then
        return 'O' .. under
    end

    other = halted(g, rule, t, e, R, degraded)

    local wallet, points, plays

    if not other then
        other, wallet, points, plays = reserve(c, rule, st, periods, keys[8],
                                               person)
    end

    if not other and (pools_empty(g, rule, keys, 9)
                      or awards_gone(c, g, rule))
    then
        other = 'Esold_out'
    end

    if other then
        return other
    end

    pay(c, slot, st, wallet, points, plays)

    local seq, idx = g[DRAWN_RECORDS], next_idx(st, e, R)

    other = draw(g, rule, t, e, R, degraded, person, sub(needle, 3), idx,
                 st[WON], first, base, width, draws)

    if other then
        return other
    end

    local d = drawn

    if d.row > 0 and rule[ROWS][d.row + 3] ~= ''
       and d.status % DEGRADED == WIN
    then
        d.code = code_of(c, rule[ROWS][d.row + 3])
    end

    settle(c, rule, slot, st, seq, e, R, periods)

    local reply = remember(c, keys, needle, rest, slot)

    return byte(reply) == 78 and reply .. d.record or reply     -- "N"
end


act('play', play)


-- moments_@H@    the times of units in epochs that are over
--     keys:   G:m
--     input:  the last of these epochs, docs/internals.md's bytes
--     output: "N", or "D": it is known for this epoch or a later one

act('moments', function(keys, e, bytes)
    local known = call('GETRANGE', keys[1], 0, 3)

    if #known == 4 and sunpack('>I4', known) >= e then
        return 'D'
    end

    call('SET', keys[1], bytes)

    return 'N'
end)
