-- What a shop would write today with lua-nginx-module: read the event, build
-- the arguments of the function, call it through lua-resty-redis, and answer
-- what has changed.
--
-- It knows from a file what nginx-loyalty works out itself: which rules
-- apply, with which constants.  It checks hardly anything.

local cjson = require 'cjson'
local redis = require 'nginx.redis'

local byte, char, format = string.byte, string.char, string.format
local match, sub = string.match, string.sub
local concat, floor = table.concat, math.floor

local M = {}
local program


local function unhex(text)
    return (text:gsub('%x%x', function(h) return char(tonumber(h, 16)) end))
end


-- MessagePack

local function big(n, bytes)
    local s = ''

    for _ = 1, bytes do
        s = char(n % 256) .. s
        n = floor(n / 256)
    end

    return s
end


local function int(n)
    if n < 128 then
        return char(n)
    elseif n < 65536 then
        return '\205' .. big(n, 2)
    elseif n < 4294967296 then
        return '\206' .. big(n, 4)
    end

    return '\207' .. big(n, 8)
end


local function str(s)
    local n = #s

    if n < 32 then
        return char(160 + n) .. s
    elseif n < 256 then
        return '\217' .. char(n) .. s
    end

    return '\218' .. big(n, 2) .. s
end


-- whole numbers, nil, false and true: what a record's body has here

local function unpack_all(s, pos)
    local values, n, last = {}, 0, #s

    while pos <= last do
        local tag, v = byte(s, pos), nil

        if tag < 128 then
            v, pos = tag, pos + 1
        elseif tag >= 224 then
            v, pos = tag - 256, pos + 1
        elseif tag == 204 then
            v, pos = byte(s, pos + 1), pos + 2
        elseif tag == 205 then
            local a, b = byte(s, pos + 1, pos + 2)
            v, pos = a * 256 + b, pos + 3
        elseif tag == 206 then
            local a, b, c, d = byte(s, pos + 1, pos + 4)
            v, pos = ((a * 256 + b) * 256 + c) * 256 + d, pos + 5
        elseif tag >= 192 and tag <= 195 then
            v, pos = tag == 195, pos + 1
        else
            error('MessagePack type ' .. tag)
        end

        n = n + 1
        values[n] = v
    end

    return values, n
end


function M.init(file)
    local f = assert(io.open(file))
    program = cjson.decode(f:read('*a'))
    f:close()

    program.constants = str(unhex(program.constants))
    program.type = str(unhex(program.type_hash)) .. str('purchase')

    program.by_hash = {}

    for _, rule in ipairs(program.rules) do
        rule.blob = str(unhex(rule.blob))
        rule.rest = unhex(rule.rest)
        program.by_hash[unhex(rule.hash)] = rule
    end
end


-- days since 1970-01-01

local function days(y, m, d)
    if m <= 2 then
        y, m = y - 1, m + 12
    end

    return 365 * y + floor(y / 4) - floor(y / 100) + floor(y / 400)
           + floor((153 * m - 457) / 5) + d - 719469
end


-- and back

local function civil(day)
    local z = day + 719468
    local era = floor(z / 146097)
    local doe = z - era * 146097
    local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524)
                       - floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
    local mp = floor((5 * doy + 2) / 153)
    local m = mp < 10 and mp + 3 or mp - 9

    return yoe + era * 400 + (m <= 2 and 1 or 0), m,
           doy - floor((153 * mp + 2) / 5) + 1
end


local name_of = {
    day = function(n)
        return format('%04d-%02d-%02d', civil(n))
    end,

    -- the year of a week is that of its Thursday
    week = function(n)
        local thursday = n * 7
        local y = civil(thursday)
        return format('%04d-W%02d', y,
                      floor((thursday - days(y, 1, 1)) / 7) + 1)
    end,

    month = function(n)
        return format('%04d-%02d', 1970 + floor(n / 12), n % 12 + 1)
    end,
}


local function money(n)
    return format('%d.%02d', floor(n / 100), n % 100)
end


local function cents(amount)
    local whole, part = match(amount, '^(%d+)%.?(%d*)$')
    return whole * 100 + (#part == 0 and 0 or #part == 1 and part * 10
                          or tonumber(part))
end


local function refuse(status, why)
    ngx.status = status
    ngx.header.content_type = 'application/json'
    ngx.say(cjson.encode({ error = why }))
end


-- the effects that a record tells, and the balances after them

local function effects(reply)
    local wallets = byte(reply, 2)
    local a, b = byte(reply, 3, 4)
    local slots_at = 5 + 4 * wallets
    local record = slots_at + 4 * (a * 256 + b) + 2
    local body, n = unpack_all(reply, record + 1 + byte(reply, record) + 16)
    local list, k, i = {}, 0, 8
    local balance = body[n]

    local function rule(slot)
        local at = slots_at + 4 * (slot - 1)
        return program.by_hash[sub(reply, at, at + 3)]
    end

    -- the balances stand behind the entries; there is one wallet
    while body[i] ~= 0 do
        local kind = body[i]

        if kind == 1 then
            k = k + 1
            list[k] = { type = 'points', wallet = 'points',
                        amount = body[i + 2],
                        reason = rule(body[i + 3]).reason,
                        balance = balance }
            i = i + 4

        elseif kind == 3 then
            local r, progress, goal = rule(body[i + 1]), body[i + 3],
                                      body[i + 4]
            k = k + 1
            list[k] = { type = 'challenge', name = r.name,
                        completed = progress >= goal,
                        progress = progress < goal and progress or goal,
                        goal = goal }

            if r.money then
                list[k].progress = money(list[k].progress)
                list[k].goal = money(goal)
            end

            if r.period then
                list[k].instance = name_of[r.period](body[i + 2])
            end
            i = i + 5

        elseif kind == 7 or kind == 8 then
            local r = rule(body[i + 1])

            k = k + 1
            list[k] = { type = 'streak', name = r.name,
                        length = body[i + 3], best = body[i + 4],
                        period = name_of[r.period](body[i + 2]) }

            if kind == 8 and body[i + 5] > 0 then
                list[k].broken = body[i + 5]
            end

            i = i + (kind == 7 and 5 or 7)

        else
            -- counted without an effect
            i = i + 3
        end
    end

    return list, balance
end


function M.event()
    ngx.req.read_body()

    local body = ngx.req.get_body_data()
    local ok, event = pcall(cjson.decode, body)

    if not ok then
        return refuse(400, 'invalid_json')
    end

    local y, m, d, h, mi, s = match(event.at,
        '^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)Z$')

    if not y then
        return refuse(400, 'invalid_field')
    end

    local day = days(tonumber(y), tonumber(m), tonumber(d))
    local at = ((day * 24 + h) * 60 + mi) * 60000 + s * 1000
    local now = floor(ngx.now() * 1000)
    local period = { day = int(day), week = int(floor((day + 3) / 7)),
                     month = int((y - 1970) * 12 + m - 1) }

    local rest = big(at, 6) .. big(floor(now / 1000), 4)
                 .. sub(ngx.md5_bin(body), 1, 6)

    local arg = { int(now), int(at), str(char(#event.id) .. event.id),
                  str(rest), program.type, int(cents(event.amount)), '\192',
                  str(event.member), program.constants,
                  int(#program.rules) }

    for _, rule in ipairs(program.rules) do
        arg[#arg + 1] = rule.blob
        if rule.period then
            arg[#arg + 1] = period[rule.period]
            arg[#arg + 1] = rule.rest
        end
    end

    arg[#arg + 1] = '\192'

    local tag = program.tags[ngx.crc32_short(event.member) % 64 + 1]
    local key = #event.member .. ':' .. event.member
    local red = redis:new()

    red:set_timeout(10000)

    local connected = red:connect('unix:' .. program.redis)
    if not connected then
        return refuse(503, 'unavailable')
    end

    local reply = red:fcall(program.event, 4, tag .. ':m:' .. key,
                            tag .. ':x:' .. key, tag .. ':feed',
                            tag .. ':al', concat(arg))
    if not reply then
        return refuse(504, 'outcome_unknown')
    end

    red:set_keepalive(60000, 256)

    local kind = byte(reply)

    if kind == 69 then
        return refuse(409, sub(reply, 2))
    end

    local list, balance = effects(reply)
    local text = cjson.encode({ id = event.id, member = event.member,
                                duplicate = kind == 68, effects = list,
                                balances = { points = balance } })

    ngx.header.content_type = 'application/json'
    ngx.header.content_length = #text
    ngx.print(text)
end


return M
