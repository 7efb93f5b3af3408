--
-- After the draw of a sweepstakes: prizes are claimed and delivered, and who
-- is disqualified makes room for an alternate.  The line that each of these
-- adds to the file "picks" is part of the result that is published.
--
-- The hash "winners" holds
--     pN            of the prize at position N: msgpack values row of the
--                   prize, status (0 held, 1 claimed, 2 delivered, 3 vacant,
--                   4 awaiting a fresh alternate), since when, who: u64
--                   seq, person, u64 ticket
--     aN            alternate N, from 0: who
--     h PERSON      the position of the prize that the person has
--     f K           the position that fresh alternate K is for
--     prizes next k settled   positions with a prize; the next alternate;
--                   dq records so far; fresh alternates found so far
--
-- claim_@H@
--     keys:   winners, picks
--     input:  now, position (-1: that of the person), person or "", 1 for
--             claimed or 2 for delivered, until when a prize can be claimed
--             after it was won (ms, 0: always)
--     output: "N" or "D", position, row of the prize, when; or "E" and a code
-- disqualify_@H@
--     keys:   winners, picks, dq
--     input:  now, k, position, who, the note, 1 where alternates are fresh
--     output: "N"; "R": there is another k or another winner by now
-- again_@H@      the note of a dq came too late, this is another one
--     keys:   winners, dq, meta
--     input:  k, the note
--     output: "N" or "R"
-- fresh_@H@      the fresh alternate of dq k
--     keys:   winners, picks
--     input:  now, k, attempt, ticket, who ("": nobody is left)
--     output: "N" or "R"
-- unclaimed_@H@  (no writes)
--     keys:   winners
--     input:  position to begin with (-1: none), since when
--     output: k, settled; the first position whose prize is held since then
--             or longer, or -1; who holds it; where to go on, or -1; since
--             when the longest of the others is held, 0: none is
-- winners_@H@    (no writes)
--     keys:   winners
--     input:  position, person
--     output: prizes, next, k, settled, what pN says of the position or of
--             the person's position, that position; nothing before the draw
-- errors: not_open (nothing is drawn), not_eligible (no such winner),
--     closed (too late)
--

local LOOKED = 500                  -- positions looked at in a call


local function hex(s)
    return (s:gsub('.', function(ch) return fmt('%02x', byte(ch)) end))
end


local function who_text(who)
    return fmt('%.0f', (sunpack('>I8', who))) .. ' ' .. hex(sub(who, 9, 40))
end


local function claim(keys, now, position, person, what, within)
    if not call('HGET', keys[1], 'k') then
        return 'Enot_open'
    end

    if position < 0 then
        position = tonumber(call('HGET', keys[1], 'h' .. person) or -1)
    end

    local name = 'p' .. fmt('%.0f', position)
    local raw = call('HGET', keys[1], name)

    if not raw then
        return 'Enot_eligible'
    end

    local row, status, since, who = unpack_all(raw)

    if status >= VACANT then
        return 'Enot_eligible'
    elseif status >= what then
        return { 'D', position, row, fmt('%.0f', since) }
    elseif status == HELD and within > 0 and now >= since + within then
        return 'Eclosed'
    end

    call('HSET', keys[1], name, pack(row, what, now, who))
    call('APPEND', keys[2], (what == CLAIMED and 'claimed ' or 'delivered ')
                            .. fmt('%.0f %.0f\n', position, now))

    return { 'N', position, row, fmt('%.0f', now) }
end


-- a prize goes to somebody, or to nobody

local function pass_on(keys, now, position, row, who)
    local name = 'p' .. fmt('%.0f', position)

    if who and who ~= '' then
        call('HSET', keys[1], name, pack(row, HELD, now, who),
             'h' .. sub(who, 9, 40), fmt('%.0f', position))
        call('APPEND', keys[2], fmt('winner %.0f %.0f ', position, row)
                                .. who_text(who) .. '\n')
    else
        call('HSET', keys[1], name, pack(row, VACANT, now, ''))
        call('APPEND', keys[2], fmt('vacant %.0f %.0f\n', position, row))
    end
end


local function disqualify(keys, now, k, position, who, note, fresh)
    local name = 'p' .. fmt('%.0f', position)
    local m = call('HMGET', keys[1], 'k', 'next', name)

    if tonumber(m[1]) ~= k - 1 or not m[3] then
        return 'R'
    end

    local row, status, _, holder = unpack_all(m[3])

    if status >= VACANT or holder ~= who then
        return 'R'
    end

    call('APPEND', keys[3], note)
    call('HSET', keys[1], 'k', fmt('%.0f', k))
    call('HDEL', keys[1], 'h' .. sub(who, 9, 40))

    if fresh == 1 then
        call('HSET', keys[1], 'f' .. fmt('%.0f', k), fmt('%.0f', position),
             name, pack(row, AWAITING, now, ''))
        return 'N'
    end

    local alternate = call('HGET', keys[1], 'a' .. m[2])

    if alternate then
        call('HINCRBY', keys[1], 'next', 1)
    end

    pass_on(keys, now, position, row, alternate)

    return 'N'
end


local function again(keys, k, note)
    local m = call('HMGET', keys[1], 'k', 'settled')

    if not m[1] or tonumber(m[1]) < k or tonumber(m[2]) >= k then
        return 'R'
    end

    call('APPEND', keys[2], note)
    call('HDEL', keys[3], 't:dq:' .. fmt('%.0f', k))

    return 'N'
end


local function fresh(keys, now, k, attempt, ticket, who)
    local field = 'f' .. fmt('%.0f', k)
    local m = call('HMGET', keys[1], 'settled', field)

    if not m[2] or tonumber(m[1]) ~= k - 1 then
        return 'R'
    end

    local position = tonumber(m[2])
    local row = unpack_all(call('HGET', keys[1], 'p' .. m[2]))

    call('HDEL', keys[1], field)
    call('HINCRBY', keys[1], 'settled', 1)

    if who ~= '' then
        call('APPEND', keys[2], fmt('fresh %.0f %.0f %.0f ', k, attempt,
                                    ticket) .. who_text(who) .. '\n')
    end

    pass_on(keys, now, position, row, who)

    return 'N'
end


local function unclaimed(keys, from, before)
    local m = call('HMGET', keys[1], 'k', 'settled', 'prizes')
    local prizes, oldest = tonumber(m[3]), 0

    if from >= 0 and from < prizes then
        local last = from + LOOKED - 1 < prizes and from + LOOKED or prizes

        for p = from, last - 1 do
            local raw = call('HGET', keys[1], 'p' .. fmt('%.0f', p))
            local _, status, since, who = unpack_all(raw)

            if status == HELD then
                if since <= before then
                    return { m[1], m[2], p, who, -1, '0' }
                end

                if oldest == 0 or since < oldest then
                    oldest = since
                end
            end
        end

        from = last < prizes and last or -1

    else
        from = -1
    end

    return { m[1], m[2], -1, '', from, fmt('%.0f', oldest) }
end


local function winners(keys, position, person)
    local m = call('HMGET', keys[1], 'prizes', 'next', 'k', 'settled')

    if not m[1] then
        return {}
    end

    if position < 0 then
        position = call('HGET', keys[1], 'h' .. person) or '-1'
    else
        position = fmt('%.0f', position)
    end

    return { m[1], m[2], m[3], m[4],
             call('HGET', keys[1], 'p' .. position) or '', position }
end


act('claim', claim)
act('disqualify', disqualify)
act('again', again)
act('fresh', fresh)
act('unclaimed', unclaimed, { 'no-writes' })
act('winners', winners, { 'no-writes' })
