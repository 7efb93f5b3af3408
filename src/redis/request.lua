--
-- What plays, entries and redemptions have in common: what a member asks
-- for is remembered by its key, and has a price.  This file follows
-- engine.lua, and the games follow it.
--
-- A request's record is that of an event: its needle is a kind and 16 bytes
-- in place of an id, its type is the slot of the game that it is about.
--

local SKEW = 1500                   -- ms between nginx's clock and Redis's


local function on_time(now)
    local off = clock() - now

    return off <= SKEW and off >= -SKEW
end


-- Starts a request: the member's state, and the reply when the request is
-- known already.

local function request(keys, now, needle, rest, member, constants)
    local c = begin(now, constants, call('GET', keys[1]))
    local seen = lookup(c, keys[2], needle)

    if seen then
        local reply = repeated(c, seen, needle, rest)

        return c, sub(reply, 1, 1) == 'D' and reply
                  or 'Eidempotency_conflict'
    end

    c.member = member

    return c
end


-- takes a price out of a wallet; a code when the member has less

local function charge(c, h, amount, slot)
    if amount == 0 then
        return
    end

    local w = wallet_of(c, h)

    if available(c, w) < amount then
        return 'insufficient_balance'
    end

    spend(c, w, amount, slot)
end


-- writes down what came of it; slot is the game's

local function remember(c, keys, needle, rest, slot)
    if c.failed then
        return 'E' .. c.failed
    end

    return save(c, keys, needle, rest, slot_of(c, c.program[1]), slot)
end
