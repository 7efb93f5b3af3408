--
-- What the operator does by hand: each change says who made it and why, in
-- the record that the feed's line points at.  This file is a block of its own.
--
-- adjust_@H@: points into a wallet or out of it
--     keys:   member, overflow, feed, aliases
--     input:  now, needle, rest, member, constants, wallet hash, amount,
--             actor, reason
--     output: "N" or "D", hashes, record; or "E" and a code
-- grant_@H@: what a game gives, without its price
--     keys:   member, overflow, feed, aliases; then the target's
--     input:  now, needle, rest, member, constants, kind of award, hash,
--             amount, target or nil, actor, reason
--     output: the same
-- erase_@H@: forgets a member
--     keys:   member, overflow, feed, aliases; then gone of campaigns that
--             go on; then told
--     input:  feed_max, actor, { hash of a game, person, ... } of these, now,
--             how long a signature may be good, ms
--     output: 1, or 0 for a member never seen
-- note_@H@: a change that is no member's, on the feed before it is made
--     keys:   the program's own feed
--     input:  feed_max, actor, what, subject, details
--     output: the line's id
-- once_@H@: whether this is the first time
--     keys:   what is to happen once
--     input:  how long that is remembered, ms
--     output: "1" or "0"
-- store_@H@: the name of this Redis for the program; where there is none yet,
--     it is the one that is offered
--     keys:   where it is
--     input:  a name
--     output: the name
-- errors: insufficient_balance, limit_reached, idempotency_conflict,
--         not_granted
--

local function note_actor(c, actor, reason)
    local e, n = c.entries, c.n

    e[n + 1], e[n + 2], e[n + 3] = 20, actor, reason
    c.n = n + 3
end


local function adjust(keys, now, needle, rest, member, constants, h, amount,
                      actor, reason)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    local w = wallet_of(c, h)
    local tier = tier_of(c.program[5], lifetime(c))

    if amount > 0 then
        give(c, w, amount, 0)

    elseif available(c, w) < -amount and not c.program.negative[h] then
        return 'Einsufficient_balance'

    else
        take(c, w, -amount, 0)
    end

    if #c.program[5] > 0 then
        note_tier(c, tier)
    end

    note_actor(c, actor, reason)

    return remember(c, keys, needle, rest, slot_of(c, c.program[1]))
end


local function grant_award(keys, now, needle, rest, member, constants, kind,
                           h, amount, target, actor, reason)
    local c, known = request(keys, now, needle, rest, member, constants)

    if known then
        return known
    end

    if target then
        aim(c, keys, { target })
    end

    local slot = slot_of(c, c.program[1])

    if grant(c, kind, h, amount, slot) == 0 and c.n == HEAD then
        return 'E' .. (c.failed or 'not_granted')
    end

    note_actor(c, actor, reason)

    return remember(c, keys, needle, rest, slot)
end


-- Digests of what was told lately: who tells it again with the same signature
-- changes nothing.  The newest records are in the member, those before in the
-- overflow.

local PAGE, PAGES = 100, 100
local DIGEST = 24


local function keep_records(keys, records, now, ms, put)
    local last, kept = spack('>I4', (now + ms) / 1000 + 1), true

    for i = 1, #records do
        local record = records[i]
        local size = byte(record, 3)

        kept = (sunpack('>I4', record, 4 + size + 6) + 1) * 1000 + ms > now

        if kept then
            local needle = sub(record, 3, 3 + size)

            put[#put + 1] = sub(redis.sha1hex(keys[1] .. needle), 1, DIGEST)
                            .. last
        end
    end

    return kept
end


local function overflow_page(keys, seq, oldest)
    local names, records = {}, {}

    while #names < PAGE and seq >= oldest do
        names[#names + 1] = 's' .. fmt('%.0f', seq)
        seq = seq - 1
    end

    if #names > 0 then
        for _, record in ipairs(call('HMGET', keys[2], unpack(names))) do
            records[#records + 1] = record or nil
        end
    end

    return records
end


local function keep_told(c, keys, now, ms)
    local key, put, records, pos = keys[#keys], {}, {}, 1
    local told = call('GET', key) or ''

    for i = 1, #told, DIGEST + 4 do
        if sunpack('>I4', told, i + DIGEST) * 1000 > now then
            put[#put + 1] = sub(told, i, i + DIGEST + 3)
        end
    end

    -- the newest first

    for i = c.kept, 1, -1 do
        records[i], pos = record_at(c.records, pos)
    end

    local seq = c.seq - c.kept

    for _ = 1, PAGES do
        if not keep_records(keys, records, now, ms, put) or c.oldest == 0 then
            break
        end

        records = overflow_page(keys, seq, c.oldest)
        seq = seq - #records

        if #records == 0 then
            break
        end
    end

    if #put > 0 then
        call('SET', key, concat(put), 'PX', fmt('%.0f', ms + 1000))
    end
end


-- The id's bytes in the aliases; feed lines then point at zeros.  Who has
-- taken part in a campaign that goes on does not begin it anew.

local function erase(keys, feed_max, actor, games, now, ms)
    local raw = call('GET', keys[1])

    if not raw then
        return 0
    end

    local c = work

    load(c, raw)

    for i = 1, #games, 2 do
        local slot = c.slot_index[games[i]]

        if slot and c.states[slot] then
            call('SADD', keys[4 + (i + 1) / 2], games[i + 1])
        end
    end

    -- a member whose records are damaged is erased all the same

    if ms then
        pcall(keep_told, c, keys, now, ms)
    end

    local n = byte(call('GETRANGE', keys[4], c.alias, c.alias))

    call('SETRANGE', keys[4], c.alias + 1, ('\0'):rep(n))
    call('DEL', keys[1], keys[2])
    call('XADD', keys[3], 'MAXLEN', '~', fmt('%.0f', feed_max), '*',
         'm', c.alias, 'w', 'erased', 'a', actor)

    return 1
end


local function note_change(keys, feed_max, actor, what, subject, details)
    return call('XADD', keys[1], 'MAXLEN', '~', fmt('%.0f', feed_max), '*',
                'a', actor, 'w', what, 'o', subject, 'd', details)
end


local function once(keys, ms)
    return call('SET', keys[1], '1', 'NX', 'PX', fmt('%.0f', ms)) and '1'
           or '0'
end


local function store(keys, name)
    call('SET', keys[1], name, 'NX')

    return call('GET', keys[1])
end


act('adjust', adjust)
act('grant', grant_award)
act('erase', erase)
act('note', note_change)
act('once', once)
act('store', store)
