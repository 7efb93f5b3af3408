--
-- Badge: a mark that a member has, given by challenges, streaks and prizes.
--
-- input:  awards of kind 4
-- output: entry 19 when a member gets or loses it
-- state:  { how many awards of it stand }
-- errors: none
--

local BADGE = 4


local function note(c, slot, n)
    local e, m = c.entries, c.n

    e[m + 1], e[m + 2], e[m + 3] = 19, slot, n
    c.n = m + 3
end


granting[BADGE] = function(c, h)
    local slot = slot_of(c, h)
    local st = state_of(c, slot)

    if not st then
        set_state(c, slot, { 1 })
        note(c, slot, 1)
    else
        st[1] = st[1] + 1
    end

    return slot, 1
end


revoking[BADGE] = function(c, slot)
    local st = state_of(c, slot)

    if not st then
        return
    end

    st[1] = st[1] - 1

    if st[1] < 1 then
        c.states[slot] = false
        note(c, slot, 0)
    end
end
