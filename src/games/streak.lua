--
-- Streak: an event in every day, ISO week or month.
--
-- input:  rule { 3, hash, unit, granted, earn_every, max, awards }, awards
--         flat { at, every, kind, hash, amount, ... }; one dynamic argument,
--         the period of the event
-- output: entries 7 to 9, and awards
-- state:  { top, lo, best, total, below, hi, carry, frozen lo, frozen hi,
--           freezes, counts, paid, gone }, trailing zeros left out
-- errors: limit_reached
--
-- Bit i of the map hi:lo stands for period top - i.  A frozen period has
-- its bit in the frozen map only; a run is made of both.  carry is the
-- length of the run that ends just below the map.  The common steps (the
-- same period, the next one, one after a gap) work on the two halves; the
-- rest spreads the map out over a table of 64.
--

local TOP, LO, BEST, TOTAL, BELOW, HI, CARRY = 1, 2, 3, 4, 5, 6, 7
local FLO, FHI, FREEZES, COUNTS, PAID, GONE = 8, 9, 10, 11, 12, 13
local LAST = 13


-- trailing zeros are added when the state is read and cut when it is kept

local function fill(st)
    for j = #st + 1, LAST do
        st[j] = 0
    end
end


local function trim(st)
    for j = LAST, 5, -1 do
        if st[j] ~= 0 and (type(st[j]) ~= 'table' or st[j][1]) then
            return
        end

        st[j] = nil
    end
end


-- how many low bits in a row are set

local function ones(x)
    local n = 0

    if x % 4 == 1 then
        return 1
    elseif x == -1 then
        return 32
    end

    if band(x, 0xFFFF) == 0xFFFF then n, x = 16, rshift(x, 16) end
    if band(x, 0xFF) == 0xFF then n, x = n + 8, rshift(x, 8) end
    if band(x, 0xF) == 0xF then n, x = n + 4, rshift(x, 4) end
    if band(x, 3) == 3 then n, x = n + 2, rshift(x, 2) end

    return n + band(x, 1)
end


local function shift(lo, hi, d)
    if d >= 64 then
        return 0, 0
    elseif d >= 32 then
        return 0, lshift(lo, d - 32)
    elseif d > 0 then
        return lshift(lo, d), bor(lshift(hi, d), rshift(lo, 32 - d))
    end

    return lo, hi
end


-- the map moved towards the top by j, 0 <= j <= 64

local function down(lo, hi, j)
    if j == 0 then
        return lo, hi
    elseif j < 32 then
        return bor(rshift(lo, j), lshift(hi, 32 - j)), rshift(hi, j)
    elseif j < 64 then
        return rshift(hi, j - 32), 0
    end

    return 0, 0
end


-- how many low bits of 64 in a row are set, and how many are not

local function low_ones(lo, hi)
    local n = ones(lo)

    return n == 32 and 32 + ones(hi) or n
end


local function low_zeros(lo, hi)
    return low_ones(bnot(lo), bnot(hi))
end


-- Periods in a row from index j on to the older side, of a map that holds
-- frozen periods too.

local function run_from(lo, hi, j, carry)
    local n = low_ones(down(lo, hi, j))

    return n == 64 - j and n + carry or n
end


-- What leaves the map when it moves on by d (2 .. 64): the length of the run
-- that then ends just below it, and of the longest that is gone.

local function leaving(lo, hi, carry, below, d)
    local first = 64 - d
    local ends = run_from(lo, hi, first, carry)
    local j = first + ends

    if j >= 64 then
        return ends, below
    end

    lo, hi = down(lo, hi, j)

    while j < 64 do
        local n = low_zeros(lo, hi)

        j = j + n

        if j >= 64 then
            break
        end

        lo, hi = down(lo, hi, n)
        n = low_ones(lo, hi)
        j = j + n
        lo, hi = down(lo, hi, n)

        if j == 64 then
            n = n + carry
            carry = 0
        end

        below = n > below and n or below
    end

    return ends, carry > below and carry or below
end


-- the map as a table: [0 .. 63] is 0, 1 or 2 (frozen)

local function spread(st)
    local b = {}
    local lo, hi, flo, fhi = st[LO], st[HI], st[FLO], st[FHI]

    for j = 0, 31 do
        local m = lshift(1, j)

        b[j] = band(lo, m) ~= 0 and 1 or band(flo, m) ~= 0 and 2 or 0
        b[j + 32] = band(hi, m) ~= 0 and 1 or band(fhi, m) ~= 0 and 2 or 0
    end

    return b
end


local function fold(st, b)
    local lo, hi, flo, fhi = 0, 0, 0, 0

    for j = 0, 31 do
        local m = lshift(1, j)

        if b[j] == 1 then
            lo = bor(lo, m)
        elseif b[j] == 2 then
            flo = bor(flo, m)
        end

        if b[j + 32] == 1 then
            hi = bor(hi, m)
        elseif b[j + 32] == 2 then
            fhi = bor(fhi, m)
        end
    end

    st[LO], st[HI], st[FLO], st[FHI] = lo, hi, flo, fhi
end


-- Periods in a row from j on to the older side, and to the newer; then how
-- many of them there are up to the newest event, which is what awards are
-- paid for: frozen periods behind it wait for the next one.

local function older(b, j, carry)
    local n, tail = 0, 0

    while j < 64 and b[j] > 0 do
        if b[j] == 2 and tail == n then
            tail = tail + 1
        end

        n, j = n + 1, j + 1
    end

    if j == 64 then
        n = n + carry
    end

    return n, n - tail
end


local function newer(b, j)
    local n, upto = 0, 0

    while j >= 0 and b[j] > 0 do
        n, j = n + 1, j - 1

        if b[j + 1] == 1 then
            upto = n
        end
    end

    return n, upto
end


-- the longest run that touches the map

local function longest(b, carry)
    local best, run = carry, 0

    for j = 0, 63 do
        run = b[j] > 0 and run + 1 or 0

        if run > best then
            best = run
        end
    end

    return run > 0 and run + carry > best and run + carry or best
end


-- counts over 1 whose period has left the map

local function forget_counts(st)
    local oldest, counts = st[TOP] - 63, st[COUNTS]
    local kept = {}

    for j = 1, #counts, 2 do
        if counts[j] >= oldest then
            kept[#kept + 1] = counts[j]
            kept[#kept + 1] = counts[j + 1]
        end
    end

    st[COUNTS] = kept
end


-- and awards; those that cannot be added up are past taking back

local function forget(st)
    local oldest = st[TOP] - 63
    local paid, gone = st[PAID], st[GONE]

    if st[COUNTS] ~= 0 then
        forget_counts(st)
    end

    if paid == 0 then
        return
    end

    local kept = {}

    if gone == 0 then
        gone = {}
    end

    for j = 1, #paid, 5 do
        if paid[j] >= oldest then
            for k = j, j + 4 do
                kept[#kept + 1] = paid[k]
            end

        elseif summed(paid[j + 3]) then
            local k = 1

            while gone[k] and gone[k] ~= paid[j + 3] do
                k = k + 2
            end

            gone[k] = paid[j + 3]
            gone[k + 1] = (gone[k + 1] or 0) + paid[j + 4]
        end
    end

    st[PAID], st[GONE] = kept, gone
end


-- Moves the map d periods on.  What falls off its end is measured: the run
-- that then ends just below the map becomes carry, longer ones below.

local function advance(st, d)
    local lo, hi, flo, fhi = st[LO], st[HI], st[FLO], st[FHI]

    if d == 1 then
        if hi < 0 or fhi < 0 then
            st[CARRY] = st[CARRY] + 1
        else
            st[BELOW] = st[CARRY] > st[BELOW] and st[CARRY] or st[BELOW]
            st[CARRY] = 0
        end

    elseif d > 64 then
        st[BELOW], st[CARRY] = st[BEST], 0

    else
        st[CARRY], st[BELOW] = leaving(bor(lo, flo), bor(hi, fhi), st[CARRY],
                                       st[BELOW], d)
    end

    st[TOP] = st[TOP] + d
    st[LO], st[HI] = shift(lo, hi, d)
    st[FLO], st[FHI] = shift(flo, fhi, d)

    if st[COUNTS] ~= 0 or st[PAID] ~= 0 then
        forget(st)
    end
end


-- the thresholds that a run passes when it grows from one length to
-- another, lowest first: flat { threshold, index into awards }

local function due(awards, from, to)
    local list = {}

    for j = 1, #awards, 5 do
        local at, step = awards[j], awards[j + 1]

        if at > from and at <= to then
            list[#list + 1] = { at, j }

        elseif at == 0 and step > 0 then
            for n = (from - from % step) + step, to, step do
                list[#list + 1] = { n, j }
            end
        end
    end

    if #list > 1 then
        table.sort(list, function(a, b)
            if a[1] == b[1] then
                return a[2] < b[2]
            end

            return a[1] < b[1]
        end)
    end

    return list
end


-- awards of the run that starts at a period, paid once a run

local function pay(c, rule, slot, st, start, from, to)
    local awards = rule[7]

    if #awards == 0 then
        return
    end

    local list = due(awards, from, to)

    if #list == 0 then
        return
    end

    local paid = st[PAID]

    if paid == 0 then
        paid = {}
        st[PAID] = paid
    end

    for k = 1, #list do
        local n, j = list[k][1], list[k][2]
        local a, b = grant(c, awards[j + 2], awards[j + 3], awards[j + 4],
                           slot)
        local e = #paid

        paid[e + 1], paid[e + 2], paid[e + 3] = start + n - 1, n,
                                                awards[j + 1]
        paid[e + 4], paid[e + 5] = a, b
    end

    forget(st)
end


local function note(c, slot, period, length, best, broken, frozen)
    local e, n = c.entries, c.n

    if broken == 0 and frozen == 0 then
        e[n + 1], e[n + 2], e[n + 3] = 7, slot, period
        e[n + 4], e[n + 5] = length, best
        c.n = n + 5
        return
    end

    e[n + 1], e[n + 2], e[n + 3] = 8, slot, period
    e[n + 4], e[n + 5] = length, best
    e[n + 6], e[n + 7] = broken, frozen
    c.n = n + 7
end


local function note_again(c, slot, period)
    local e, n = c.entries, c.n

    e[n + 1], e[n + 2], e[n + 3] = 9, slot, period
    c.n = n + 3
end


-- one more event in a period that has one

local function again(c, slot, st, period)
    local counts = st[COUNTS]

    if counts == 0 then
        counts = {}
        st[COUNTS] = counts
    end

    local j = 1

    while counts[j] and counts[j] ~= period do
        j = j + 2
    end

    counts[j] = period
    counts[j + 1] = (counts[j + 1] or 1) + 1

    note_again(c, slot, period)
end


-- freezes a run earns when parts of a and b periods become one of m

local function earned(st, rule, a, b, m)
    local every, max = rule[5], rule[6]

    if every > 0 then
        local n = (m - m % every) / every - (a - a % every) / every
                  - (b - b % every) / every

        if n > 0 and st[FREEZES] - 1 < max then
            st[FREEZES] = st[FREEZES] + n

            if st[FREEZES] - 1 > max then
                st[FREEZES] = max + 1
            end
        end
    end
end


-- Freezes cover the missed periods from the first one on until they are
-- spent; a is the length of the run they go to, gap how many periods were
-- missed, and first the index of the newest of its periods in the map that
-- has already moved on.  Returns how many were spent.

local function freeze(st, a, gap, first)
    local n = st[FREEZES] - 1

    if n > gap then
        n = gap
    end

    -- the run reaches the end of the map only through frozen periods
    if first >= 64 and n >= first - 64 then
        st[CARRY] = a + first - 64
    end

    for j = first - 1, first - n, -1 do
        if j < 32 and j >= 0 then
            st[FLO] = bor(st[FLO], lshift(1, j))
        elseif j >= 32 and j < 64 then
            st[FHI] = bor(st[FHI], lshift(1, j - 32))
        end
    end

    st[FREEZES] = st[FREEZES] - n

    return n
end


-- the index of the newest period of the map, 64 when it is empty

local function head(st)
    return low_zeros(bor(st[LO], st[FLO]), bor(st[HI], st[FHI]))
end


-- the length of the run that starts there

local function newest(st, j)
    return run_from(bor(st[LO], st[FLO]), bor(st[HI], st[FHI]), j, st[CARRY])
end


-- an event in a period above all that have one: above the top, or below it
-- where a reversal took what was there

local function forward(c, rule, slot, st, period, last)
    local d, t = period - st[TOP], 0
    local a, spent = newest(st, last), 0

    if d < 0 then
        d, t = 0, -d
    end

    local gap = a > 0 and last + d - t - 1 or 0

    if d > 0 then
        advance(st, d)
    end

    if gap > 0 and st[FREEZES] > 1 then
        spent = freeze(st, a, gap, last + d)
    end

    local broken = gap > spent and a > 0
    local part = broken and 0 or a + spent

    -- a run that freezes made longer before it broke counts as that long
    if broken and a + spent > st[BEST] then
        st[BEST] = a + spent
    end

    if broken and spent > 0 and st[BEST] > st[BELOW] and last + d - spent >= 64
    then
        st[BELOW] = st[BEST]
    end

    if t < 32 then
        st[LO] = bor(st[LO], lshift(1, t))
    else
        st[HI] = bor(st[HI], lshift(1, t - 32))
    end

    local m = part + 1

    if m > st[BEST] then
        st[BEST] = m
    end

    note(c, slot, period, m, st[BEST],
         broken and a + spent > 1 and a + spent or 0, spent)

    earned(st, rule, broken and 0 or a, 0, m)
    pay(c, rule, slot, st, period - part, broken and 0 or a, m)
end


-- an event in an older period of the map joins the run it belongs to

local function late(c, rule, slot, st, period)
    local t = st[TOP] - period
    local b = spread(st)

    if b[t] == 1 then
        again(c, slot, st, period)
        return
    end

    if b[t] == 2 then
        st[FREEZES] = st[FREEZES] + 1

        if st[FREEZES] - 1 > rule[6] then
            st[FREEZES] = rule[6] + 1
        end
    end

    local was = b[t]
    local x, xe = newer(b, t - 1)
    local y, ye = older(b, t + 1, st[CARRY])
    local m, upto = x + 1 + y, xe > 0 and xe + 1 + y or 1 + y

    -- a period that was frozen was part of one run already
    if was == 2 then
        ye, xe = xe > 0 and upto or ye, 0
    end

    b[t] = 1
    fold(st, b)

    if m > st[BEST] then
        st[BEST] = m
    end

    note(c, slot, period, newest(st, head(st)), st[BEST], 0, 0)
    earned(st, rule, xe, ye, upto)
    pay(c, rule, slot, st, period - y, xe > ye and xe or ye, upto)
end


-- The common step on to a later period, for a rule without freezes and
-- awards: false when it is another.

local function step(c, slot, st, period)
    local d, lo, hi = period - st[TOP], st[LO], st[HI] or 0
    local carry = st[CARRY] or 0

    if d <= 0 or lo % 2 == 0 or d == 1 and (hi < 0 or carry > 0)
       or st[FLO] and (st[PAID] or st[FLO] ~= 0 or st[FHI] ~= 0)
    then
        return false
    end

    local a, below = 1, st[BELOW] or 0
    local m, best, broken = 1, st[BEST], 0

    if lo % 4 == 3 then
        a = ones(lo)

        if a == 32 then
            a = run_from(lo, hi, 0, carry)
        end
    end

    if d == 1 then
        m = a + 1
        lo, hi = shift(lo, hi, 1)
        best = m > best and m or best

    else
        broken = a > 1 and a or 0

        if d > 64 then
            lo, hi, carry, below = 0, 0, 0, best
        elseif hi == 0 and carry == 0 and d < 31 and lo > 0
               and lo < lshift(1, 31 - d)
        then
            lo = lshift(lo, d)
        else
            carry, below = leaving(lo, hi, carry, below, d)
            lo, hi = shift(lo, hi, d)
        end
    end

    st[TOP], st[LO], st[BEST] = period, bor(lo, 1), best

    if below > 0 or hi ~= 0 or carry > 0 or st[BELOW] then
        st[BELOW] = below
    end

    if hi ~= 0 or carry > 0 or st[HI] then
        st[HI] = hi
    end

    if carry > 0 or st[CARRY] then
        st[CARRY] = carry
    end

    local counts = st[COUNTS]

    if counts and counts ~= 0 and counts[1] and counts[1] < period - 63 then
        forget_counts(st)
    end

    note(c, slot, period, m, best, broken, 0)

    return true
end


apply[3] = function(c, rule, args, i)
    local period, freezes = args[i], rule[4] > 0 or rule[5] > 0
    local slot = c.slot_index[rule[2]] or slot_of(c, rule[2])
    local st = state_of(c, slot)

    if not st then
        st = { period, 1, 1, 1 }
        set_state(c, slot, st)

        if not freezes and not rule[7][1] then
            note(c, slot, period, 1, 1, 0, 0)
            return i + 1
        end

        fill(st)

        if freezes then
            st[FREEZES] = rule[4] + 1
        end

        note(c, slot, period, 1, 1, 0, 0)
        earned(st, rule, 0, 0, 1)
        pay(c, rule, slot, st, period, 0, 1)
        trim(st)

        return i + 1
    end

    st[TOTAL] = st[TOTAL] + 1

    if not freezes and not rule[7][1] and step(c, slot, st, period) then
        return i + 1
    end

    fill(st)

    if not freezes then
        st[FREEZES] = 0
    elseif st[FREEZES] == 0 then
        st[FREEZES] = rule[4] + 1
    elseif st[FREEZES] > rule[6] + 1 then
        st[FREEZES] = rule[6] + 1       -- a reversal does not know the rule
    end

    local d, last = period - st[TOP], head(st)

    if d > -last then
        forward(c, rule, slot, st, period, last)
    elseif d == 0 and st[LO] % 2 == 1 then
        again(c, slot, st, period)
    elseif d > -64 then
        late(c, rule, slot, st, period)
    else
        note_again(c, slot, period)
    end

    trim(st)

    return i + 1
end
