--
-- Reward: something that points buy, or that is awarded: as many as there
-- are, with a code of a pool where it has one.
--
-- redeem_@H@
--     keys:   member, overflow, feed, aliases; then those of the target:
--             redeemed, and unused codes where there is a pool
--     input:  now, needle, rest, member, constants, rule { 6, hash, wallet
--             hash or false, price, limits }, periods { day, week, month },
--             target { hash, index of its first key, stock or -1, 1 with a
--             pool }
--     output: "N" or "D", hashes, record; or "E" and a code
-- state:  { ever, day, in it, week, in it, month, in it }, redemptions
-- errors: insufficient_balance, sold_out, idempotency_conflict,
--         limit_reached: and the limit's unit
--
-- What was handed out stays handed out: an award that is taken back leaves
-- the reward and its code with the member.
--

local AWARD = 5
local NOTHING = 0                   -- sold out, where a code would stand


local function flush(c, t)
    call('SET', c.keys[t[2]], fmt('%.0f', t.count))
end


-- whether as many were handed out as there are

local function used_up(c, t)
    if not t.count then
        t.count = tonumber(call('GET', c.keys[t[2]]) or 0)
    end

    return t[3] >= 0 and t.count >= t[3]
end


-- one more of the target's: its code, true where it has none, nil when there
-- is none left

local function take_one(c, t)
    if used_up(c, t) then
        return nil
    end

    local code = true

    if t[4] == 1 then
        code = code_of(c, c.keys[t[2] + 1])
    end

    if code then
        t.count = t.count + 1
        t.flush = flush
    end

    return code
end


local function note(c, slot, code)
    local e, n = c.entries, c.n

    e[n + 1], e[n + 2], e[n + 3] = 18, slot, code
    c.n = n + 3
end


-- an award that finds nothing left says so in the record

granting[AWARD] = function(c, h)
    local slot = slot_of(c, h)
    local code = take_one(c, c.targets[h])

    note(c, slot, code == true and false or code or NOTHING)

    return 0
end


lacking[AWARD] = function(c, h)
    local t = c.targets[h]

    return not t or used_up(c, t)
           or t[4] == 1 and call('EXISTS', c.keys[t[2] + 1]) == 0
end


local function redeem(keys, now, needle, rest, member, constants, blob,
                      periods, target)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    aim(c, keys, { target })

    local rule = constant(blob)
    local slot = slot_of(c, rule[2])
    local st = state_of(c, slot)

    if not st then
        st = { 0, 0, 0, 0, 0, 0, 0 }
        set_state(c, slot, st)
    end

    local left, unit = allowed(st, 1, rule[5], periods)

    if left and left < 1 then
        return 'Elimit_reached:' .. unit
    end

    local code = take_one(c, target)

    if not code then
        return 'Esold_out'
    end

    local short = rule[3] and charge(c, rule[3], rule[4], slot)

    if short then
        return 'E' .. short
    end

    count_up(st, 1, periods, 1)
    note(c, slot, code ~= true and code)

    return remember(c, keys, needle, rest, slot)
end


act('redeem', redeem)
