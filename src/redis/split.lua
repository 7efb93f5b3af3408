--
-- What plays and entries in three steps have in common; docs/internals.md
-- tells how they are made.  Each step is in one slot of Redis, as a cluster
-- needs it and "redis ... split" has it: the member's reserve, the game's
-- draw, the member's settle.
--
-- Between the first and the last the member keeps a reservation, one for each
-- game, and its price is held.  What the game did about a reservation, which
-- is known by 16 bytes and its time, is final: whoever finds it open can go
-- on where another one stopped.  This file follows codes.lua, and the games
-- follow it.
--
-- A reservation is msgpack values: needle, rest, t, then the game's own.
--
-- open_@H@      the reservation of a member that is on the list
--     keys:   member, open ones
--     input:  constants, hash of the game, member
--     output: "O" and the reservation; "G": there is none, and the member is
--             off the list
-- pending_@H@   (no writes)
--     keys:   open ones
--     input:  before (ms), at most
--     output: members with a reservation as old as that
-- forget_@H@    what was done about reservations that are settled
--     keys:   done
--     input:  before (ms): no reservation as old as that is open
--     output: how many were known
-- errors: none
--

-- the reservation is made; keys[5] is the list of open ones

local function reserve_for(c, keys, slot, h, points, reservation)
    hold(c, slot, h, points, reservation)
    save_member(c, keys)
    call('ZADD', keys[5], fmt('%.0f', c.now), c.member)

    return 'N' .. reservation
end


-- The reservation that is settled with what was drawn: the game's slot,
-- wallet hash, points and the reservation, which is closed then.  Or nil and
-- the reply: it is not what is open, or '' was drawn, it was refused, and the
-- price is the member's again.

local function settle_of(c, keys, h, needle, t, drawn)
    local slot = c.slot_index[h]
    local reservation, wallet, points

    if slot then
        reservation, wallet, points = reserved(c, slot)
    end

    if not reservation then
        return nil, 'G'
    end

    local _, mine, _, at = unpack_limit(reservation, 3, 0)

    if mine ~= needle or at ~= t then
        return nil, 'G'
    end

    release(c, slot)

    if drawn == '' then
        save_member(c, keys)

        return nil, 'C'
    end

    return slot, wallet, points, reservation
end


-- what a settle replies: "N" or "C", and it is off the list

local function ended(keys, member, reply)
    local first = byte(reply)

    if first == 78 or first == 67 then
        call('ZREM', keys[5], member)
    end

    return reply
end


-- what was done about the reservation with this id and time, or nil

local function done_about(key, t, id)
    local at = fmt('%.0f', t)
    local done = call('ZRANGEBYSCORE', key, at, at)

    for i = 1, #done do
        if sub(done[i], 1, 16) == id then
            return sub(done[i], 17)
        end
    end
end


local function decided(key, t, id, what)
    call('ZADD', key, fmt('%.0f', t), id .. what)

    return what
end


act('open', function(keys, constants, h, member)
    local raw = call('GET', keys[1])
    local c = begin(0, constants, raw)
    local slot = c.slot_index[h]
    local reservation = slot and reserved(c, slot)

    if reservation then
        return 'O' .. reservation
    end

    call('ZREM', keys[2], member)

    return 'G'
end)
act('pending', function(keys, before, most)
    return call('ZRANGEBYSCORE', keys[1], '-inf',
                '(' .. fmt('%.0f', before), 'LIMIT', 0, fmt('%.0f', most))
end, { 'no-writes' })
act('forget', function(keys, before)
    return fmt('%.0f', call('ZREMRANGEBYSCORE', keys[1], '-inf',
                            '(' .. fmt('%.0f', before)))
end)
