--
-- A play in three steps, made of the transitions of instant_win.lua;
-- split.lua has what it shares with an entry.
--
-- play_reserve_@H@
--     keys:   member, overflow, feed, aliases, open ones, gone
--     input:  t, needle, rest, member, constants, rule, why it cannot be
--             drawn ("": it can), e, R_p, degraded, { day, week, month },
--             person
--     output: "N" and a reservation; "O" and one that was made before;
--             "K", its seq in the log, "D", hashes and record of a play that
--             is known; "E" and a code; "Rt" as of play_@H@
-- play_draw_@H@
--     keys:   state, log N, log N + 1, done; then pools
--     input:  t, play_id, rule, generation, N, why it cannot be drawn, e, R_p,
--             degraded, person, idx, wins, base, width, draws
--     output: "P", the play's 189 bytes in the log, and the code or nothing;
--             "E" and a code, or "Rt": as final; another "R" as of play_@H@
-- play_settle_@H@
--     keys:   member, overflow, feed, aliases, open ones; then targets
--     input:  now, needle, rest, member, constants, rule, t, 189 bytes or "":
--             it was refused, code, { day, week, month }, targets or nil
--     output: "N" or "D", hashes and record; "C": the reservation is gone,
--             and the price is the member's; "G": there is no such
--             reservation; "E" and a code
--
-- A reservation's own values: e, R_p, degraded, idx, wins, plays that are its
-- price.
--

local function play_reserve(keys, t, needle, rest, member, constants, blob,
                            bar, e, R, degraded, periods, person)
    local c, known = request(keys, t, needle, rest, member, constants)

    if known then
        return byte(known) == 68                    -- "D"
               and 'K' .. spack('>I8', known_seq(c, known)) .. known or known
    end

    local rule = memo[blob] or constant(blob)
    local slot = slot_of(c, rule[2])
    local st = player(c, slot)
    local under = reserved(c, slot)

    if under then
        return 'O' .. under
    end

    local other = shut(rule, t) or bar ~= '' and 'E' .. bar

    local wallet, points, plays

    if not other then
        other, wallet, points, plays = reserve(c, rule, st, periods, keys[6],
                                               person)
    end

    return other or reserve_for(c, keys, slot, wallet, points,
                                pack(needle, rest, t, e, R, degraded,
                                     next_idx(st, e, R), st[WON], plays))
end


-- "P", seq and code, as it was drawn, or what was answered

local function outcome(keys, first, known)
    if byte(known) ~= 80 then                       -- "P"
        return known
    end

    local record, other = recorded(keys, 2, first, sunpack('>I8', known, 2))

    return other or 'P' .. record .. sub(known, 10)
end


local function play_draw(keys, t, id, blob, generation, first, bar, e, R,
                         degraded, person, idx, wins, base, width, draws)
    local known = done_about(keys[4], t, id)

    if known then
        return outcome(keys, first, known)
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
        return decided(keys[4], t, id, other)
    end

    local d = drawn

    if not put_record(keys[2 + d.chunk], keys[1], seq % CHUNK * RECORDED,
                      d.record)
    then
        return decided(keys[4], t, id, 'Epaused')
    end

    local pool = d.row > 0 and d.status % DEGRADED == WIN
                 and rule[ROWS][d.row + 3] or ''
    local code = pool ~= '' and call('LPOP', pool) or ''

    game_save(keys[1], g)
    decided(keys[4], t, id, 'P' .. spack('>I8', seq) .. code)

    return 'P' .. d.record .. code
end


-- what was drawn, as its record in the log has it

local function drawn_again(record, code)
    local d = drawn
    local tier = sunpack('>I4', record, 142)

    d.tier = tier ~= NONE and tier or -1
    d.row = tier ~= NONE and tier * ROW + 1 or 0
    d.status = sunpack('>I4', record, 154)
    d.code = code ~= '' and code or false
end


local function settled(c, keys, needle, rest, rule, t, record, code, periods,
                       targets, unpaid)
    local slot, wallet, points, reservation = settle_of(c, keys, rule[2],
                                                        needle, t, record)

    if not slot then
        return wallet
    end

    if targets then
        aim(c, keys, targets)
    end

    local _, _, _, _, e, R, _, _, _, plays = unpack_limit(reservation, 9, 0)
    local st = player(c, slot)

    drawn_again(record, code)
    pay(c, slot, st, wallet, points, plays)
    settle(c, rule, slot, st, sunpack('>I8', record, 41), e, R, periods,
           unpaid)

    return remember(c, keys, needle, rest, slot)
end


-- What was drawn stays drawn: where an award would pass the limit of an
-- account, the prize is won without it.

local function play_settle(keys, now, needle, rest, member, constants, blob,
                           t, record, code, periods, targets)
    local reply

    for _, unpaid in ipairs({ false, true }) do
        local c, known = request(keys, now, needle, rest, member, constants)

        reply = known or settled(c, keys, needle, rest, constant(blob), t,
                                 record, code, periods, targets, unpaid)

        if byte(reply) ~= 69 then                   -- "E"
            break
        end
    end

    return ended(keys, member, reply)
end


act('play_reserve', play_reserve)
act('play_draw', play_draw)
act('play_settle', play_settle)
