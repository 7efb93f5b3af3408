--
-- Code pools: codes that are handed out once each.  A pool is the list of
-- its unused codes and the set of all that were ever imported, so that one
-- that was handed out is not imported again.  This file follows request.lua,
-- and the games follow it.
--
-- import_@H@
--     keys:   unused (list), all (set)
--     input:  ARG, msgpack values: codes
--     output: how many were new, how many are unused now
-- left_@H@ (no writes)
--     keys:   for each pool unused and all, then redeemed for each reward
--     input:  ARG, msgpack values: how many pools
--     output: unused and all of each pool, redeemed of each reward
-- errors: none
--

-- the next code of the pool whose unused ones are at key; nil: none is left.
-- What is handed out leaves the list when the member is saved.

local function code_of(c, key)
    local taken = c.codes

    if not taken then
        taken = {}
        c.codes = taken
    end

    local n = taken[key] or 0
    local code = call('LINDEX', key, n)

    if code then
        taken[key] = n + 1
    end

    return code or nil
end


act('import', function(keys, ...)
    local codes = { ... }
    local new = {}

    for i = 1, #codes do
        if call('SADD', keys[2], codes[i]) == 1 then
            new[#new + 1] = codes[i]
        end
    end

    local unused

    if #new > 0 then
        unused = call('RPUSH', keys[1], unpack(new))
    else
        unused = call('LLEN', keys[1])
    end

    return { fmt('%.0f', #new), fmt('%.0f', unused) }
end)


act('left', function(keys, pools)
    local out = {}

    for i = 1, 2 * pools, 2 do
        out[i] = fmt('%.0f', call('LLEN', keys[i]))
        out[i + 1] = fmt('%.0f', call('SCARD', keys[i + 1]))
    end

    for i = 2 * pools + 1, #keys do
        out[i] = call('GET', keys[i]) or '0'
    end

    return out
end, { 'no-writes' })
