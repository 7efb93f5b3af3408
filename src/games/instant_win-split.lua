--
-- A play in three steps, each in one slot of Redis, as a cluster needs them
-- and "redis ... split" has them.  Between the first and the last one the
-- member keeps a reservation, and its price is held.  What is drawn for a
-- reservation, known by play_id and t, is final: whoever finds it open goes
-- on where another one stopped.
--
-- play_reserve_@H@
--     keys:   member, overflow, feed, aliases, open ones
--     input:  t, needle, rest, member, constants, rule, why it cannot be
--             drawn ("": it can), e, R_p, degraded, { day, week, month }
--     output: "N" and a reservation; "O" and one that was made before;
--             "K", its seq in the log, "D", hashes and record of a play that
--             is known; "E" and a code; "Rt" as of play_@H@
-- play_open_@H@
--     keys:   member, open ones
--     input:  hash of the rule, member
--     output: "O" and the reservation that is open, or "G": none is, and it
--             is on no list
-- play_draw_@H@
--     keys:   state, log N, log N + 1, drawn ones; then pools
--     input:  t, play_id, rule, generation, N, why it cannot be drawn, e, R_p,
--             degraded, person, idx, wins, base, width, draws
--     output: "P", the play's 189 bytes in the log, and the code or nothing;
--             "E" and a code, or "Rt": as final; another "R" as of play_@H@
-- play_settle_@H@
--     keys:   member, overflow, feed, aliases, open ones; then targets
--     input:  now, needle, rest, member, constants, rule, t, 189 bytes or "":
--             it was refused, code, { day, week, month }, targets or nil
--     output: "N" or "D", hashes and record; "C": the reservation is gone
--             with its price; "G": there is no such reservation; "E" and a
--             code
-- play_pending_@H@ (no writes)
--     keys:   open ones
--     input:  before t, at most
--     output: members
-- play_forget_@H@
--     keys:   drawn ones
--     input:  before t: no reservation as old as that is open
--     output: how many were known
--
-- A reservation is msgpack values: needle, rest, t, e, R_p, degraded, idx,
-- wins, then wallet hash, points and plays of its price.
--


-- ---- reserve ----

local function play_reserve(keys, t, needle, rest, member, constants, blob,
                            bar, e, R, degraded, periods)
    local c, known = request(keys, t, needle, rest, member, constants)

    if known then
        return byte(known) == 68                    -- "D"
               and 'K' .. spack('>I8', known_seq(c, known)) .. known or known
    end

    local rule = memo[blob] or constant(blob)
    local h = rule[2]
    local slot = slot_of(c, h)
    local st = player(c, slot)

    if st[PENDING] ~= '' then
        return 'O' .. st[PENDING]
    end

    local other = shut(rule, t) or bar ~= '' and 'E' .. bar

    if not other and period_past(st, rule[LIMITS], periods) then
        other = 'Rt' .. fmt('%.0f', clock())
    end

    local wallet, points, plays

    if not other then
        other, wallet, points, plays = reserve(c, rule, st, periods)
    end

    if other then
        return other
    end

    st[PENDING] = pack(needle, rest, t, e, R, degraded, next_idx(st, e, R),
                       st[WON], wallet, points, plays)

    if points > 0 then
        hold(c, wallet, points, slot)
    end

    save_member(c, keys)
    call('ZADD', keys[5], fmt('%.0f', t), member)

    return 'N' .. st[PENDING]
end


local function play_open(keys, h, member)
    local raw = call('GET', keys[1])
    local c = work

    load(c, raw)
    c.touched_n = 0

    local slot = c.slot_index[h]
    local st = slot and state_of(c, slot)

    if st and st[PENDING] ~= '' then
        return 'O' .. st[PENDING]
    end

    call('ZREM', keys[2], member)

    return 'G'
end


-- ---- draw ----

-- what was drawn for a reservation: play_id, then "P", seq and code, or what
-- was answered

local function outcome(keys, first, known)
    if byte(known, 17) ~= 80 then                   -- "P"
        return sub(known, 17)
    end

    local record, other = recorded(keys, 2, first, sunpack('>I8', known, 18))

    return other or 'P' .. record .. sub(known, 26)
end


local function play_draw(keys, t, id, blob, generation, first, bar, e, R,
                         degraded, person, idx, wins, base, width, draws)
    local at = fmt('%.0f', t)
    local known = call('ZRANGEBYSCORE', keys[4], at, at)

    for i = 1, #known do
        if sub(known[i], 1, 16) == id then
            return outcome(keys, first, known[i])
        end
    end

    local g = game_load(keys[1], generation)

    if not g then
        return 'Rg'
    end

    local rule = memo[blob] or constant(blob)
    local other = bar ~= '' and 'E' .. bar
                  or halted(g, rule, t, e, R, degraded)
                  or pools_empty(g, rule, keys, 5) and 'Esold_out'
    local seq = g[DRAWN_RECORDS]

    if not other then
        other = draw(g, rule, t, e, R, degraded, person, id, idx, wins,
                     first, base, width, draws)

        if other and byte(other) == 82 then         -- "R"
            return other
        end
    end

    if other then
        call('ZADD', keys[4], at, id .. other)

        return other
    end

    local d = drawn
    local pool = d.row > 0 and d.status % DEGRADED == WIN
                 and rule[ROWS][d.row + 3] or ''
    local code = pool ~= '' and call('LPOP', pool) or ''

    call('APPEND', keys[2 + d.chunk], d.record)
    game_save(keys[1], g)
    call('ZADD', keys[4], at, id .. 'P' .. spack('>I8', seq) .. code)

    return 'P' .. d.record .. code
end


-- ---- settle ----

local function play_settle(keys, now, needle, rest, member, constants, blob,
                           t, record, code, periods, targets)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    local rule = memo[blob] or constant(blob)
    local slot = c.slot_index[rule[2]]
    local st = slot and state_of(c, slot)

    if not st or st[PENDING] == '' then
        return 'G'
    end

    local mine, _, at, e, R, _, _, _, wallet, points, plays =
        unpack_all(st[PENDING])

    if mine ~= needle or at ~= t then
        return 'G'
    end

    st[PENDING] = ''
    release(c, slot)

    local reply = 'C'

    if record == '' then
        save_member(c, keys)

    else
        if targets then
            aim(c, keys, targets)
        end

        local d = drawn
        local tier = sunpack('>I4', record, 142)

        d.tier = tier ~= NONE and tier or -1
        d.row = tier ~= NONE and tier * ROW + 1 or 0
        d.status = sunpack('>I4', record, 154)
        d.code = code ~= '' and code or false

        pay(c, slot, st, wallet, points, plays)
        settle(c, rule, slot, st, sunpack('>I8', record, 41), e, R, periods)

        reply = remember(c, keys, needle, rest, slot)
    end

    if byte(reply) ~= 69 then                       -- "E"
        call('ZREM', keys[5], member)
    end

    return reply
end


-- ---- what was cut off, and what nobody will ask for any more ----

local function play_pending(keys, before, most)
    return call('ZRANGEBYSCORE', keys[1], '-inf',
                '(' .. fmt('%.0f', before), 'LIMIT', 0, fmt('%.0f', most))
end


local function play_forget(keys, before)
    return fmt('%.0f', call('ZREMRANGEBYSCORE', keys[1], '-inf',
                            '(' .. fmt('%.0f', before)))
end


local function step(name, f, flags)
    redis.register_function {
        function_name = name, flags = flags,
        callback = function(keys, args)
            if not call then
                bind()
            end

            return f(keys, unpack_all(args[1]))
        end
    }
end


step('play_reserve_@H@', play_reserve, {})
step('play_open_@H@', play_open, {})
step('play_draw_@H@', play_draw, {})
step('play_settle_@H@', play_settle, {})
step('play_pending_@H@', play_pending, { 'no-writes' })
step('play_forget_@H@', play_forget, {})
