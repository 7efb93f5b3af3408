--
-- An entry in three steps, made of the transitions of sweepstakes.lua;
-- split.lua has what it shares with a play.
--
-- enter_reserve_@H@
--     keys:   member, overflow, feed, aliases, open ones, gone
--     input:  now, needle, rest, member, constants, rule, person, tickets,
--             method, entry salt, id, { day, week, month }
--     output: "N" and a reservation; "O" and one that was made before; "D",
--             hashes and record; "E" and a code
-- enter_draw_@H@
--     keys:   state, entries N, entries N + 1, done
--     input:  t, id of the reservation, why nobody may enter ("": it may),
--             target, tickets, method
--     output: "P", u64 seq, u64 first ticket; "E" and a code, which is final,
--             or "retry" as of enter_@H@, which is not
-- enter_settle_@H@
--     keys:   member, overflow, feed, aliases, open ones
--     input:  now, needle, rest, member, constants, hash of the game, t, seq
--             and first ticket as they were drawn, or "": it was refused,
--             { day, week, month }
--     output: "N" or "D", hashes and record; "C": the reservation is gone,
--             and the price is the member's; "G": there is no such
--             reservation; "E" and a code
--
-- A reservation's own values: tickets, method, entry salt, id.
--

local function enter_reserve(keys, now, needle, rest, member, constants, blob,
                             person, n, method, salt, id, periods)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    local rule = constant(blob)
    local slot = slot_of(c, rule[2])
    local st = entered(c, slot)
    local under = reserved(c, slot)

    if under then
        return 'O' .. under
    end

    local code = not on_time(now) and 'clock_skew' or outside(rule, now)
                 or not eligible(c, rule[8]) and 'not_eligible'
                 or #st[8] == 0 and was_erased(keys[6], person)
                    and 'not_eligible'
    local unit = not code and reserve(st, rule[7], n, periods)

    if unit then
        code = 'limit_reached:' .. unit
    end

    local h, points = '', 0

    if not code and method == BOUGHT and rule[6][1] == 1 then
        h, points = rule[6][2], n * rule[6][3]

        if available(c, wallet_of(c, h)) < points then
            code = 'insufficient_balance'
        end
    end

    return code and 'E' .. code
           or reserve_for(c, keys, slot, h, points,
                          pack(needle, rest, now, n, method, salt, id))
end


local function enter_draw(keys, now, id, bar, t, n, method)
    local known = done_about(keys[4], now, id)

    if known then
        return known
    end

    local c = work

    c.now, c.keys, c.failed = now, keys, false

    local g = game_of(c, t)

    if not g then
        return 'E' .. c.failed
    end

    local code = bar ~= '' and bar or not on_time(now) and 'clock_skew'
                 or shut(g, t.rule, now) or full(g, n) and 'limit_reached:0'

    if code then
        return decided(keys[4], now, id, 'E' .. code)
    end

    local seq, first = sell(c, t, g, n, method)

    if not seq then
        return 'E' .. c.failed
    end

    flush(c, t)

    if c.failed then
        return 'E' .. c.failed
    end

    return decided(keys[4], now, id, 'P' .. spack('>I8I8', seq, first))
end


local function enter_settle(keys, now, needle, rest, member, constants, h, t,
                            sold, periods)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    local slot, wallet, points, reservation = settle_of(c, keys, h, needle, t,
                                                        sold)

    if not slot then
        return ended(keys, member, wallet)
    end

    if points > 0 then
        spend(c, wallet_of(c, wallet), points, slot)
    end

    local _, _, _, _, n, method, salt, id = unpack_limit(reservation, 7, 0)
    local seq, first = sunpack('>I8I8', sold)

    settle(c, slot, entered(c, slot), seq, first, n, method, salt, id,
           periods)

    return ended(keys, member, remember(c, keys, needle, rest, slot))
end


act('enter_reserve', enter_reserve)
act('enter_draw', enter_draw)
act('enter_settle', enter_settle)
