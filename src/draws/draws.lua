--
-- What the transitions of both draws stand on: Redis's clock, a game's state
-- G:s, its log, its published files, and who may take part.
-- docs/internals.md describes the bytes.
--
-- G:s is msgpack values, one after another: 1 format, 2 records in the log
-- (entries, plays: the next one's seq), 3 paused (0 or 1; held until somebody
-- has looked: 2, it was rewound, or 3, its log is damaged), 4 generation,
-- 5 last epoch that is over (0 in a sweepstakes), then the room's own ones.
--

local GAME = 1                      -- format of G:s
local CHUNK = 4096                  -- records of one key
local DRAWN_RECORDS, DRAWN_PAUSED, DRAWN_GENERATION, DRAWN_OVER = 2, 3, 4, 5


-- ms since 1970 by the one clock that all nodes share

local function clock()
    local t = call('TIME')

    return t[1] * 1000 + (t[2] - t[2] % 1000) / 1000
end


-- The state of a game as a table.  nil when the caller's node does not know
-- what holds by now (its generation is another one), or Redis has no such
-- game: it then asks campaign_@H@, and tries again.

local function game_load(key, generation)
    local raw = call('GET', key)

    if not raw then
        return nil
    end

    local g = { unpack_all(raw) }

    if g[1] ~= GAME then
        error('game state of format ' .. tostring(g[1]))
    end

    if g[DRAWN_GENERATION] ~= generation then
        return nil
    end

    return g
end


local function game_save(key, g)
    call('SET', key, pack(unpack(g)))
end


-- A record gets to where it belongs in its chunk.  Where that is damaged, it is
-- taken back, the game is held, and nothing else may come of it: false.

local function put_record(key, state, at, bytes)
    local n = call('APPEND', key, bytes)

    if n == at + #bytes then
        return true
    elseif n > #bytes then
        call('SET', key, call('GETRANGE', key, 0, n - #bytes - 1))
    else
        call('DEL', key)
    end

    local g = { unpack_all(call('GET', state)) }

    g[DRAWN_PAUSED] = 3
    game_save(state, g)

    return false
end


-- Appends to a published file that has "at" bytes (under 0: whatever it
-- has).  True when it did, or when the bytes stand there already; and the
-- file's length.

local function publish(key, at, bytes)
    local n = call('STRLEN', key)

    if at < 0 or n == at then
        return true, call('APPEND', key, bytes)
    end

    if n >= at + #bytes
       and call('GETRANGE', key, fmt('%.0f', at),
                fmt('%.0f', at + #bytes - 1)) == bytes
    then
        return true, n
    end

    return false, n
end


-- Whether who is asking was erased after having taken part.  What counts
-- plays and tickets was erased with the member: to begin anew would pass the
-- limits, and repeat what the log already has.  Asked for those that have
-- taken part in nothing yet.

local function was_erased(key, person)
    return call('SISMEMBER', key, person) == 1
end


-- whether a loaded member is one of those that "eligible" lines name

local function among(value, list, i)
    for j = i, #list do
        if list[j] == value then
            return true
        end
    end

    return false
end


local eligible

do

local compare = {
    [0] = function(a, b) return a == b end,
    function(a, b) return a ~= b end,
    function(a, b) return a < b end,
    function(a, b) return a <= b end,
    function(a, b) return a > b end,
    function(a, b) return a >= b end
}


function eligible(c, conditions)
    for i = 1, #conditions do
        local cond = conditions[i]
        local value, ok

        if cond[1] == 1 then
            local first = c.wallet_index[c.program[4][1]]
            local lifetime = first and c.wallets[first * 4 - 2] or 0

            ok = among(tier_of(c.program[5], lifetime), cond, 2)

        else
            local w = c.wallet_index[cond[2]]

            -- balance, lifetime: the first two values of a wallet
            value = w and c.wallets[w * 4 - 5 + cond[1]] or 0

            if cond[3] == 6 then
                ok = among(value, cond, 4)
            else
                ok = compare[cond[3]](value, cond[4])
            end
        end

        if not ok then
            return false
        end
    end

    return true
end

end
