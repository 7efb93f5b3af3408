--
-- A campaign beside its plays and entries: versions of its manifest, the
-- files that are published about it, epochs that are over, and the one worker
-- of all nodes that leads.
--
-- G:meta is a hash:
--     salt, secret      of the campaign: 16 bytes, id of its secret
--     versions          how many there are
--     v:N               version N: msgpack manifest, table of prizes, the
--                       rule's blob
--     from:N            the first epoch that version N > 1 of an instant win
--                       governs
--     t:KIND:KEY        time of the earliest token for a note, ms
--     over_at           when the last epoch was declared over, ms
--     revealed          the last epoch whose secret is published
--     size, tree        records under the Merkle frontier, the frontier
--     headed            time of the newest head, ms
--     wanted            rounds whose signatures are not published yet, 8
--                       bytes each
--     evidence          lengths of the files that the last note of evidence
--                       is about
-- and what the rooms keep there.  G:rounds has the rounds used: a bitmap, or
-- 8 bytes each where they are few.
--
-- campaign_@H@   what is known of the campaign; begins it where it is new
--     keys:   meta, state
--     input:  salt and id of the secret for a new one (salt "": it is not
--             begun); the room's part of a new state, packed
--     output: nothing when there is none; else generation, over, salt, id of
--             the secret, records, paused; then for each version: v:N, from
--             ("0": none), its token's time ("0": none)
-- register_@H@   the manifest of a version, once
--     keys:   meta, state, files manifest, terms, prizes, rules, vkey
--     input:  version, when its predecessor closes (ms, 0: none), v:N, note,
--             terms, prizes, rules ("": none), vkey
--     output: "N"; "D": there is one; "C": the predecessor has closed;
--             "G": there is no predecessor
-- stamped_@H@    a token for a note
--     keys:   meta, state, file timestamps
--     input:  KIND, KEY, its time, line; for a version that waits for it:
--             open, length of epochs, else 0, 0
--     output: "N" or "D" and the earliest time; "L": it comes too late, its
--             version would govern an epoch that is there already
-- over_@H@       an epoch is over, once its time has passed by Redis's clock
--     keys:   meta, state
--     input:  epoch, its end
--     output: over, records, ms until secrets up to it may be published (over
--             0: they may), revealed
-- reveal_@H@     secrets of epochs that are over
--     keys:   meta, state, file reveal
--     input:  first epoch, last epoch, lines
--     output: "N", or "R": not now, and revealed
-- tree_@H@       (no writes) the state of the Merkle frontier
--     keys:   meta, state
--     output: records, size, tree, headed, over, Redis's time, paused,
--             generation: a leader that has another one asks campaign_@H@
-- head_@H@       records are under the frontier, and maybe a head of them
--     keys:   meta, file heads
--     input:  size and headed before, size, tree, note ("": none), its time
--     output: "N", or "R": another leader was there
-- used_@H@       rounds were used, signatures of some are here
--     keys:   meta, rounds, file beacons
--     input:  the file's first line, the round of bit 0 (0: no bitmap),
--             rounds, { round, line, ... }
--     output: rounds that are still wanted
-- lengths_@H@    (no writes) of files, for evidence
--     keys:   meta, state, files
--     input:  nil
--     output: lengths that the last note is about, records, lengths
-- evidence_@H@   a note about files as they are
--     keys:   meta, state, file evidence, files
--     input:  the note, their lengths as meta keeps them, records, lengths
--     output: "N", or "R": one has grown
-- publish_@H@    appends to a file
--     keys:   file
--     input:  its length, bytes
--     output: "N" or "R", and the length
-- line_@H@       a line, into a file that has not got it
--     keys:   file
--     input:  line
--     output: "N"; "D": it stands there already; "F": the file is full
-- pause_@H@
--     keys:   state
--     input:  0, 1, 2 or 3 (held): only 0 takes back what is held
--     output: "N", or "D": it was so already
-- piece_@H@      (no writes) a part of a file, or of a log
--     keys:   file; or state, chunk
--     input:  offset in it (under 0: from its end), length
--     output: length of the file or records of the log, bytes
-- fields_@H@     (no writes) of meta
--     keys:   meta
--     input:  names
--     output: values
-- lease_@H@      who leads
--     keys:   leader
--     input:  token, ms; 0: gives it back
--     output: 1: this one does
-- games_@H@      (no writes) all campaigns: names and values
--     keys:   games
-- game_@H@       one campaign's value
--     keys:   games
--     input:  name, value
-- errors: a state that does not decode
--

local LATE = 1500                   -- ms that a clock may be off
local WITHHELD = 3000               -- ms from "over" to the secret
local FULL = 262144                 -- bytes of lines that came by hand


local function state(key)
    local raw = call('GET', key)

    if not raw then
        error('no campaign at ' .. key)
    end

    local g = { unpack_all(raw) }

    if g[1] ~= GAME then
        error('game state of format ' .. tostring(g[1]))
    end

    return g
end


local function number(key, field)
    return tonumber(call('HGET', key, field) or '0')
end


local function text(n)
    return fmt('%.0f', n)
end


local function changed(key)
    local g = state(key)

    g[DRAWN_GENERATION] = g[DRAWN_GENERATION] + 1
    game_save(key, g)
end


local function campaign(keys, salt, secret, rest)
    local meta = keys[1]

    if call('EXISTS', meta, keys[2]) < 2 then
        if salt == '' then
            return {}
        end

        -- both or none: what is left of one is no campaign
        if call('EXISTS', meta) + call('EXISTS', keys[2]) > 0 then
            error('half a campaign at ' .. meta)
        end

        call('HSET', meta, 'salt', salt, 'secret', secret)
        call('SET', keys[2], pack(GAME, 0, 0, 1, 0) .. rest)
    end

    local g = state(keys[2])
    local known = call('HMGET', meta, 'salt', 'secret', 'versions')
    local out = { text(g[DRAWN_GENERATION]), text(g[DRAWN_OVER]), known[1],
                  known[2], text(g[DRAWN_RECORDS]), text(g[DRAWN_PAUSED]) }

    for n = 1, tonumber(known[3] or '0') do
        local v = call('HMGET', meta, 'v:' .. n, 'from:' .. n,
                       't:manifest:' .. n)

        out[#out + 1] = v[1]
        out[#out + 1] = n == 1 and '1' or v[2] or '0'
        out[#out + 1] = v[3] or '0'
    end

    return out
end


local function register(keys, version, before, v, note, terms, prizes, rules,
                        vkey)
    local meta = keys[1]
    local n = number(meta, 'versions')

    if n >= version then
        return 'D'
    elseif n ~= version - 1 then
        return 'G'
    elseif before > 0 and clock() >= before then
        return 'C'
    end

    call('HSET', meta, 'versions', version, 'v:' .. version, v)
    call('APPEND', keys[3], note)
    call('SET', keys[4], terms)
    call('SET', keys[5], prizes)
    call('SET', keys[7], vkey)

    if rules ~= '' then
        call('SET', keys[6], rules)
    end

    changed(keys[2])

    return 'N'
end


-- A later version of an instant win governs from the second epoch after that
-- of its token.  Once it is known it stays, and an epoch that has begun is
-- not taken from the version that governs it.

local function governs(keys, key, time, open, length)
    local now = clock()
    local from = (time - open - (time - open) % length) / length + 3
    local at = (now - open - (now - open) % length) / length + 1

    if from < 1 then
        from = 1
    end

    if now >= open and from <= at then
        return false
    end

    call('HSET', keys[1], 'from:' .. key, text(from))
    changed(keys[2])

    return true
end


local function stamped(keys, kind, key, time, line, open, length)
    local field = 't:' .. kind .. ':' .. key
    local known = call('HGET', keys[1], field)

    if length > 0 then
        if known and tonumber(known) > time then
            return { 'L', known }
        end

        if not known and not governs(keys, key, time, open, length) then
            return { 'L', '0' }
        end
    end

    -- a repeat of a call whose answer was lost
    local n = call('STRLEN', keys[3])

    if n >= #line
       and call('GETRANGE', keys[3], text(n - #line), text(n - 1)) == line
    then
        return { 'D', known }
    end

    call('APPEND', keys[3], line)

    if not known or time < tonumber(known) then
        known = text(time)
        call('HSET', keys[1], field, known)
    end

    return { 'N', known }
end


local function over(keys, epoch, stop)
    local g = state(keys[2])
    local now = clock()

    if g[DRAWN_OVER] < epoch and now >= stop + LATE then
        g[DRAWN_OVER] = epoch
        game_save(keys[2], g)
        call('HSET', keys[1], 'over_at', text(now))
    end

    local wait = number(keys[1], 'over_at') + WITHHELD - now

    return { text(g[DRAWN_OVER]), text(g[DRAWN_RECORDS]),
             text(wait > 0 and wait or 0),
             call('HGET', keys[1], 'revealed') or '0' }
end


local function reveal(keys, first, last, lines)
    local g = state(keys[2])
    local known = number(keys[1], 'revealed')

    if known ~= first - 1 or last > g[DRAWN_OVER]
       or clock() < number(keys[1], 'over_at') + WITHHELD
    then
        return { 'R', text(known) }
    end

    call('APPEND', keys[3], lines)
    call('HSET', keys[1], 'revealed', text(last))

    return { 'N', text(last) }
end


local function tree(keys)
    local g = state(keys[2])
    local m = call('HMGET', keys[1], 'size', 'tree', 'headed')

    return { text(g[DRAWN_RECORDS]), m[1] or '0', m[2] or '', m[3] or '0',
             text(g[DRAWN_OVER]), text(clock()), text(g[DRAWN_PAUSED]),
             text(g[DRAWN_GENERATION]) }
end


local function head(keys, size, headed, new, frontier, note, time)
    if number(keys[1], 'size') ~= size or number(keys[1], 'headed') ~= headed
    then
        return 'R'
    end

    call('HSET', keys[1], 'size', text(new), 'tree', frontier)

    if note ~= '' then
        call('APPEND', keys[2], note)
        call('HSET', keys[1], 'headed', text(time))
    end

    return 'N'
end


-- whether a round was not used before; it is noted

local function new_round(key, base, round)
    if base > 0 then
        return call('SETBIT', key, text(round - base), 1) == 0
    end

    local known, bytes = call('GET', key) or '', spack('>I8', round)

    for at = 1, #known, 8 do
        if sub(known, at, at + 7) == bytes then
            return false
        end
    end

    call('APPEND', key, bytes)

    return true
end


local function used(keys, first_line, base, rounds, lines)
    local wanted = call('HGET', keys[1], 'wanted') or ''
    local before = wanted

    for i = 1, #rounds do
        if new_round(keys[2], base, rounds[i]) then
            wanted = wanted .. spack('>I8', rounds[i])
        end
    end

    local have = {}

    for i = 1, #lines, 2 do
        have[lines[i]] = lines[i + 1]
    end

    local left, out = {}, {}

    for at = 1, #wanted, 8 do
        local r = sunpack('>I8', wanted, at)

        if have[r] then
            out[#out + 1] = have[r]
            have[r] = nil
        else
            left[#left + 1] = sub(wanted, at, at + 7)
        end
    end

    wanted = table.concat(left)

    if #out > 0 then
        if call('EXISTS', keys[3]) == 0 then
            call('APPEND', keys[3], first_line)
        end

        call('APPEND', keys[3], table.concat(out))
    end

    if wanted ~= before then
        call('HSET', keys[1], 'wanted', wanted)
    end

    return wanted
end


local function lengths(keys)
    local out = { call('HGET', keys[1], 'evidence') or '',
                  text(state(keys[2])[DRAWN_RECORDS]) }

    for i = 3, #keys do
        out[i] = text(call('STRLEN', keys[i]))
    end

    return out
end


local function evidence(keys, note, known, records, ...)
    local expected = { ... }

    if state(keys[2])[DRAWN_RECORDS] ~= records then
        return 'R'
    end

    for i = 1, #expected do
        if call('STRLEN', keys[3 + i]) ~= expected[i] then
            return 'R'
        end
    end

    call('APPEND', keys[3], note)
    call('HSET', keys[1], 'evidence', known)

    return 'N'
end


local function appended(keys, at, bytes)
    local ok, n = publish(keys[1], at, bytes)

    return { ok and 'N' or 'R', text(n) }
end


local function line(keys, bytes)
    local known = call('GET', keys[1]) or ''

    if find('\n' .. known, '\n' .. bytes, 1, true) then
        return 'D'
    end

    if #known + #bytes > FULL then
        return 'F'
    end

    call('APPEND', keys[1], bytes)

    return 'N'
end


local function pause(keys, paused)
    local g = state(keys[1])

    local was = g[DRAWN_PAUSED]

    if was == paused or paused > 0 and was > paused then
        return 'D'
    end

    g[DRAWN_PAUSED] = paused
    game_save(keys[1], g)

    return 'N'
end


local function piece(keys, at, length)
    local key = keys[1]
    local n

    if keys[2] then
        local raw = call('GET', key)

        if not raw then
            return {}
        end

        n = select(3, unpack_limit(raw, 2, 0))
        key = keys[2]

    else
        n = call('STRLEN', key)
    end

    return { text(n), length > 0 and call('GETRANGE', key, text(at),
                                          text(at + length - 1)) or '' }
end


local function fields(keys, ...)
    return call('HMGET', keys[1], ...)
end


local function lease(keys, token, ms)
    local holder = call('GET', keys[1])

    if ms == 0 then
        if holder == token then
            call('DEL', keys[1])
        end

        return 0
    end

    if holder and holder ~= token then
        return 0
    end

    call('SET', keys[1], token, 'PX', text(ms))

    return 1
end


local function games(keys)
    return call('HGETALL', keys[1])
end


local function game(keys, name, value)
    call('HSET', keys[1], name, value)

    return 'N'
end


act('campaign', campaign)
act('register', register)
act('stamped', stamped)
act('over', over)
act('reveal', reveal)
act('tree', tree, { 'no-writes' })
act('head', head)
act('used', used)
act('lengths', lengths, { 'no-writes' })
act('evidence', evidence)
act('publish', appended)
act('line', line)
act('pause', pause)
act('piece', piece, { 'no-writes' })
act('fields', fields, { 'no-writes' })
act('lease', lease)
act('games', games, { 'no-writes' })
act('game', game)
