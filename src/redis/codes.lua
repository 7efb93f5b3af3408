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


redis.register_function('import_@H@', function(keys, args)
    if not call then
        bind()
    end

    local codes = { unpack_all(args[1]) }
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
