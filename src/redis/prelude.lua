--
-- What every transition stands on: the member's state as it is read and
-- written, points in wallets, and the entries of the record in the making.
-- docs/internals.md describes the bytes.
--
-- The library is one chunk: this file, then each game in a block of its
-- own; build-aux/embed.sh has the order.  A game registers its transitions
-- here and never names another game.
--
-- Nothing of string, math, table, bit, struct or cmsgpack exists while the
-- library is loaded, so they are bound on the first call.
--

local MAX = 9007199254740991        -- 2^53 - 1, the largest exact integer
local ONE = 10000                   -- a multiplier of 1.0
local KEPT = 16                     -- records in the member's string
local MOVED = 8                     -- how many leave it at a time
local MEMO = 4096                   -- decoded constants remembered

local call, unpack_limit, unpack_all, pack, find, sub, byte, char, fmt
local spack, sunpack, concat
local band, bor, bnot, lshift, rshift


local function bind()
    call = redis.call
    unpack_limit = cmsgpack.unpack_limit
    unpack_all = cmsgpack.unpack
    pack = cmsgpack.pack
    find, sub, byte = string.find, string.sub, string.byte
    char, fmt = string.char, string.format
    spack, sunpack = struct.pack, struct.unpack
    concat = table.concat
    band, bor, bnot = bit.band, bit.bor, bit.bnot
    lshift, rshift = bit.lshift, bit.rshift
end


-- registers f(keys, ...) as NAME_H, the values of ARG behind the keys

local function act(name, f, flags)
    redis.register_function {
        function_name = name .. '_@H@', flags = flags or {},

        callback = function(keys, args)
            if not call then
                bind()
            end

            return f(keys, unpack_all(args[1]))
        end
    }
end


-- apply[kind of rule](c, rule, args, i): one rule on one event; returns the
--     index behind the rule's dynamic arguments
-- undo[kind of entry](c, body, i, left): takes back what an entry stands
--     for; body[i] is the entry's kind.  A game undoes its own kinds.
local apply, undo = {}, {}


-- Entries are written into c.entries behind the HEAD values of the record's
-- body; these are the numbers behind an entry's kind.  2, 5 and 6 carry a
-- count, 0 ends the list.
local HEAD = 7
local SIZE = { [1] = 3, [3] = 4, [4] = 2, [7] = 4, [8] = 6, [9] = 2,
               [10] = 2, [11] = 3, [12] = 3, [13] = 2, [14] = 7, [15] = 7,
               [16] = 4, [17] = 2, [18] = 2, [19] = 2, [20] = 2,
               [21] = 3 }


local function entry_end(body, i)
    local kind = body[i]

    if kind == 2 then
        return i + 3 + body[i + 2]
    elseif kind == 5 then
        return i + 6 + 2 * body[i + 5]
    elseif kind == 6 then
        return i + 4 + 2 * body[i + 3]
    end

    return i + 1 + SIZE[kind]
end


-- decoded constants: they repeat from call to call, and are never changed

local memo, memo_n = {}, 0


local function constant(blob)
    local v = memo[blob]

    if not v then
        if memo_n >= MEMO then
            memo, memo_n = {}, 0
        end

        v = unpack_all(blob)
        memo[blob] = v
        memo_n = memo_n + 1
    end

    return v
end


local function program(blob)
    local p = constant(blob)

    if not p.negative then
        local negative, wallets = {}, p[4]

        for i = 1, #wallets, 2 do
            negative[wallets[i]] = wallets[i + 1] % 2 == 1
        end

        p.negative = negative
        p.feed_max = fmt('%.0f', p[3])
    end

    return p
end


-- A string of 4-byte hashes as a table hash -> index (from 1).  Members of
-- one program mostly have the same string, so that it is made once.

local maps, maps_n = {}, 0


local function index_of(hashes)
    local m = maps[hashes]

    if not m then
        if maps_n >= MEMO then
            maps, maps_n = {}, 0
        end

        m = {}

        for i = 1, #hashes, 4 do
            m[sub(hashes, i, i + 3)] = (i + 3) / 4
        end

        maps[hashes] = m
        maps_n = maps_n + 1
    end

    return m
end


-- the member's slot for a rule, made where it is missing

local function slot_of(c, h)
    local s = c.slot_index[h]

    if not s then
        c.slots = c.slots .. h
        c.slot_index = index_of(c.slots)
        s = #c.slots / 4
        c.states[s] = false
    end

    return s
end


-- The state of a game's slot, false where there is none.  It stays packed
-- until somebody asks for it, so that what an event does not touch costs
-- nothing; what was asked for is packed again when the member is written.
-- TYPE marks the name of an event type: no packed value begins with it.

local TYPE = '\193'


local function set_state(c, slot, st)
    local n = c.touched_n + 1

    c.states[slot] = st
    c.touched[n], c.touched_n = slot, n
end


local function state_of(c, slot)
    local st = c.states[slot]

    if type(st) == 'string' then
        st = { unpack_all(st) }
        set_state(c, slot, st)
    end

    return st
end


local function wallet_of(c, h)
    local w = c.wallet_index[h]

    if not w then
        c.whashes = c.whashes .. h
        c.wallet_index = index_of(c.whashes)
        w = #c.whashes / 4

        local v, i = c.wallets, w * 4
        v[i - 3], v[i - 2], v[i - 1], v[i] = 0, 0, 0, 0
    end

    return w
end


-- points into a wallet; slot tells the reason

local function give(c, w, amount, slot)
    local v, i = c.wallets, w * 4 - 3
    local balance, lifetime = v[i] + amount, v[i + 1] + amount

    if balance > MAX or lifetime > MAX then
        c.failed = 'limit_reached'
        return
    end

    v[i], v[i + 1] = balance, lifetime

    local e, n = c.entries, c.n
    e[n + 1], e[n + 2], e[n + 3], e[n + 4] = 1, w, amount, slot
    c.n = n + 4
end


-- What is under way in steps: the program's slot lists { slot, wallet hash,
-- points, reservation, ... }.  The points are held: they are the price, and
-- stay in the balance until it is settled.

local function under_way(c)
    local own = c.slot_index[c.program[1]]

    return own and state_of(c, own)
end


-- what a wallet can pay with

local function available(c, w)
    local points, held = c.wallets[w * 4 - 3], under_way(c)

    if held then
        local h = sub(c.whashes, w * 4 - 3, w * 4)

        for i = 2, #held, 4 do
            if held[i] == h then
                points = points - held[i + 1]
            end
        end
    end

    return points
end


local function hold(c, slot, h, points, reservation)
    local own = slot_of(c, c.program[1])
    local held = state_of(c, own)

    if not held then
        held = {}
        set_state(c, own, held)
    end

    local n = #held

    held[n + 1], held[n + 2], held[n + 3], held[n + 4] =
        slot, h, points, reservation
end


-- the reservation of a slot, wallet hash and points; or nil

local function reserved(c, slot)
    local held = under_way(c)

    for i = 1, held and #held or 0, 4 do
        if held[i] == slot then
            return held[i + 3], held[i + 1], held[i + 2]
        end
    end
end


-- and it is gone

local function release(c, slot)
    local held = under_way(c)

    for i = 1, held and #held or 0, 4 do
        if held[i] == slot then
            for j = i, #held do
                held[j] = held[j + 4]
            end

            break
        end
    end

    if held and #held == 0 then
        c.states[c.slot_index[c.program[1]]] = false
    end
end


-- and back: below zero where the wallet allows, else the rest is owed

local function take(c, w, amount, slot)
    local v, i = c.wallets, w * 4 - 3
    local taken, points = amount, available(c, w)

    if points < amount
       and not c.program.negative[sub(c.whashes, w * 4 - 3, w * 4)]
    then
        taken = points > 0 and points or 0
    end

    if v[i] - taken < -MAX or v[i + 1] - amount < -MAX
       or v[i + 3] + amount - taken > MAX
    then
        c.failed = 'limit_reached'
        return
    end

    v[i], v[i + 1] = v[i] - taken, v[i + 1] - amount

    local e, n = c.entries, c.n

    if taken > 0 then
        e[n + 1], e[n + 2], e[n + 3], e[n + 4] = 1, w, -taken, slot
        n = n + 4
    end

    if taken < amount then
        v[i + 3] = v[i + 3] + amount - taken
        e[n + 1], e[n + 2], e[n + 3] = 13, w, amount - taken
        n = n + 3
    end

    c.n = n
end


-- A price that the wallet can pay: points leave the balance, and lifetime
-- stays.

local function spend(c, w, amount, slot)
    local v, i = c.wallets, w * 4 - 3
    local e, n = c.entries, c.n

    v[i] = v[i] - amount
    e[n + 1], e[n + 2], e[n + 3], e[n + 4] = 1, w, -amount, slot
    c.n = n + 4
end


-- Awards: what each kind does.  grant() pays one and returns what revoke()
-- needs to take it back, two numbers; the first tells the kind: a wallet's
-- index is positive, nothing paid is 0, and -(kind + 16 * own slot) is a
-- game's, which registers here:
--
-- granting[kind](c, hash, amount, slot): own slot or 0, and a number; hash is
--     that of the game awarded, slot that of the reason
-- revoking[kind](c, own slot, number, slot)
--
-- lacking[kind](c, hash): whether there is nothing left to award; of kinds
--     that are used up
--
-- The amounts of wallets and of kinds in SUMMED may be added up.

local granting, revoking, lacking = {}, {}, {}
local SUMMED = {}


local function grant(c, kind, h, amount, slot)
    if kind == 1 then
        local w = wallet_of(c, h)
        give(c, w, amount, slot)

        return w, amount
    end

    local own, number = granting[kind](c, h, amount, slot)

    if own == 0 then
        return 0, 0
    end

    return -(kind + 16 * own), number
end


local function revoke(c, a, b, slot)
    if a > 0 then
        take(c, a, b, slot)

    elseif a < 0 then
        local kind = -a % 16
        revoking[kind](c, (-a - kind) / 16, b, slot)
    end
end


-- whether what grant() returned may be added to another of the same

local function summed(a)
    return a > 0 or SUMMED[-a % 16]
end


-- Limits: how often in a day, a week, a month or ever.  rule is flat { unit,
-- most, ... }, unit 0 for ever, else 1 to 3; periods[unit] is the number of
-- the period now.  A state keeps its counts as { ever, day, in it, week, in
-- it, month, in it } from index i on.
--
-- The clocks of two nodes are not the same, and one may still be in the period
-- before.  What was counted then is forgotten, so that nothing is left of it.

local function counted(st, i, unit, periods)
    if unit == 0 then
        return st[i] or 0
    end

    local ahead = (st[i + 2 * unit - 1] or 0) - periods[unit]

    return ahead == 0 and st[i + 2 * unit] or ahead == 1 and 2 ^ 53 or 0
end


-- how many more there may be, and the unit of the limit that says so; nil
-- where there is no limit

local function allowed(st, i, rule, periods)
    local least, which

    for j = 1, #rule, 2 do
        local left = rule[j + 1] - counted(st, i, rule[j], periods)

        if not least or left < least then
            least, which = left, rule[j]
        end
    end

    return least, which
end


local function count_up(st, i, periods, k)
    for unit = 1, 3 do
        local at = i + 2 * unit - 1
        local ahead = (st[at] or 0) - periods[unit]

        if ahead ~= 0 and ahead ~= 1 then
            st[at], st[at + 1] = periods[unit], 0
        end

        st[at + 1] = (st[at + 1] or 0) + k
    end

    st[i] = (st[i] or 0) + k
end


-- Targets: what an award into a game's own slot of Redis needs beside the
-- member, keyed by the game's hash.  Each is { hash, index of its first key,
-- what the game adds }.  A transition changes targets in memory alone and
-- sets flush, which save() calls once nothing can be refused any more; only
-- where a log is damaged c.failed is set by it.

local NO_TARGETS = {}


local function aim(c, keys, list)
    local targets = {}

    for j = 1, #list do
        local t = list[j]
        targets[t[1]] = t
    end

    c.keys, c.targets = keys, targets
end


local function flush_targets(c)
    for _, t in pairs(c.targets) do
        if t.flush and not c.failed then
            t.flush(c, t)
        end
    end
end


-- the hash of the tier that a lifetime reaches and its multiplier

local NO_TIER = '\0\0\0\0'


local function tier_of(tiers, lifetime)
    local h, multiplier = NO_TIER, ONE

    for i = 1, #tiers, 3 do
        if lifetime < tiers[i] then
            break
        end

        multiplier, h = tiers[i + 1], tiers[i + 2]
    end

    return h, multiplier
end


-- Sums over the matched items of an event; items is flat: sku, category,
-- quantity, amount.

local function items_quantity(items, which)
    local sum = 0

    for i = 1, #which do
        sum = sum + items[which[i] * 4 - 1]
    end

    return sum
end


local function items_amount(items, which)
    local sum = 0

    for i = 1, #which do
        local amount = items[which[i] * 4]

        if amount > 0 then
            sum = sum + amount
        end
    end

    return sum
end


-- remembers which items a rule counted, behind the rule's own entry

local function note_items(c, slot, which)
    local e, n = c.entries, c.n

    e[n + 1], e[n + 2], e[n + 3] = 2, slot, #which

    for i = 1, #which do
        e[n + 3 + i] = which[i]
    end

    c.n = n + 3 + #which
end


-- What a rule that counted items loses in a reversal: left holds quantity
-- and amount of every item before (was) and after (is).  j is the index of
-- the entry behind the rule's own, which note_items() wrote.

local function items_lost(body, j, slot, left, quantity)
    if body[j] ~= 2 or body[j + 1] ~= slot then
        return 0, 0
    end

    local was, is, at = 0, 0, quantity and 1 or 0

    for i = j + 3, j + 2 + body[j + 2] do
        local k = body[i] * 2 - at
        was = was + left.was[k]
        is = is + left.is[k]
    end

    return was, is
end
