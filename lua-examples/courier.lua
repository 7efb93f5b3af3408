--
-- A courier: reads the feed of changes with a consumer group and posts each
-- to a webhook, signed, until it is accepted.
--
--     init_worker_by_lua_block {
--         if ngx.worker.id() == 0 then
--             require('courier').start {
--                 redis = { unix = 'unix:/run/redis.sock' },
--                 program = 'shop', group = 'crm',
--                 to = { host = '127.0.0.1', port = 9000, path = '/hook' },
--                 secret = 'sixteen bytes or more' }
--         end
--     }
--
-- The receiver sees each change at least once and in its member's order; the
-- id in it (partition, stream id) is the same whenever it comes, and makes it
-- exactly once.  A change is acknowledged when the receiver answered 2xx, so
-- that nothing is lost when nginx or the receiver goes down.  One that it does
-- not take holds up those behind it, in one of the 64 parts of the feed; the
-- error log says which.  A part that is longer than feed_max forgets what
-- nobody has taken.
--
-- One nginx delivers for a group: two would do so twice, and not in order.
--
-- The feed says which record of which member (docs/internals.md); "GET
-- members/ID/history?cursor=SEQ+1&limit=1" of the admin API has the record.
--
-- redis = { host, port, or unix; user, password, db }.  With access lists the
-- user needs ~{PROGRAM:* +xgroup +xreadgroup +xack +getrange +select.
--

local bit = require 'bit'
local cjson = require 'cjson.safe'
local loyalty = require 'resty.loyalty'

-- Debian's name for lua-resty-redis; OpenResty calls it resty.redis
local found, redis = pcall(require, 'nginx.redis')

if not found then
    redis = require 'resty.redis'
end

local _M = {}

local PARTITIONS = 64
local BATCH = 32
local CONSUMER = 'courier'


-- CRC-16 (XMODEM), for the tag of a partition

local function slot(text)
    local crc = 0

    for i = 1, #text do
        crc = bit.bxor(crc, bit.lshift(text:byte(i), 8))

        for _ = 1, 8 do
            if bit.band(crc, 0x8000) ~= 0 then
                crc = bit.bxor(bit.lshift(crc, 1), 0x1021)
            else
                crc = bit.lshift(crc, 1)
            end
        end

        crc = bit.band(crc, 0xffff)
    end

    return bit.band(crc, 16383)
end


function _M.tag(program, partition)
    local n = 0

    while bit.rshift(slot(program .. ':' .. partition .. '.' .. n), 8)
          ~= partition
    do
        n = n + 1
    end

    return '{' .. program .. ':' .. partition .. '.' .. n .. '}'
end


local function connect(options)
    local red = redis:new()

    red:set_timeout(2000)

    local ok, err

    if options.unix then
        ok, err = red:connect(options.unix)
    else
        ok, err = red:connect(options.host, options.port or 6379)
    end

    if ok and options.password then
        ok, err = red:auth(options.user or 'default', options.password)
    end

    if ok and options.db then
        ok, err = red:select(options.db)
    end

    return ok and red, err
end


-- one change to the receiver: true, or false and why it did not take it

local function deliver(options, change)
    local body = cjson.encode(change)
    local client = loyalty.new(options.to)
    local status, err = client:request('POST', options.to.path or '/', body, {
        ['Loyalty-Signature'] = loyalty.sign(options.secret, body),
        ['Idempotency-Key'] = change.id })

    if status and status >= 200 and status < 300 then
        return true
    end

    return false, change.id .. ' is not taken: ' .. (status or err)
end


-- The member that an alias stands for; false when it was erased; nil and why
-- when Redis does not say.

local function member_of(red, tag, alias)
    local start = tonumber(alias)

    if not start then
        return false
    end

    local text, err = red:getrange(tag .. ':al', start, start + 128)

    if not text then
        return nil, err
    end

    local id = text ~= '' and text:sub(2, 1 + text:byte(1))

    return id and id:byte(1) ~= 0 and id
end


local function run_line(red, options, p, tag, line)
    local fields = {}

    for i = 1, #line[2], 2 do
        fields[line[2][i]] = line[2][i + 1]
    end

    local member, err = member_of(red, tag, fields.m)

    if member == nil then
        return nil, err
    end

    return deliver(options, {
        id = p .. '-' .. line[1], program = options.program,
        member = member or nil,
        seq = tonumber(fields.s), what = fields.w })
end


-- True; false and why, when the receiver does not take one of them; nil and
-- why, when Redis fails, or the worker ends: the next one delivers.

local function run_lines(red, options, p, tag, lines)
    for _, line in ipairs(lines) do

        if ngx.worker.exiting() then
            return nil, 'the worker ends'
        end

        -- one that was read, and trimmed before the receiver took it
        if type(line[2]) ~= 'table' then
            ngx.log(ngx.ERR, 'courier: the change ', p, '-', line[1],
                    ' is lost, a larger feed_max would have kept it')

        else
            local taken, why = run_line(red, options, p, tag, line)

            if not taken then
                return taken, why
            end
        end

        local done, err = red:xack(tag .. ':feed', options.group, line[1])

        if not done then
            return nil, err
        end
    end

    return true
end


-- first what was read and not delivered, by us or by one that died

local function run_partition(red, options, p)
    local tag = _M.tag(options.program, p)
    local key = tag .. ':feed'

    -- an error of Redis, as "the group exists", is false; nil is worse
    local made, err = red:xgroup('CREATE', key, options.group, '0', 'MKSTREAM')

    if made == nil then
        return nil, err
    end

    for _, from in ipairs { '0', '>' } do
        local lines, taken

        lines, err = red:xreadgroup('GROUP', options.group, CONSUMER, 'COUNT',
                                    BATCH, 'STREAMS', key, from)

        if not lines then
            return nil, err
        end

        if type(lines) == 'table' then
            taken, err = run_lines(red, options, p, tag, lines[1][2])

            if not taken then
                return taken, err
            end
        end
    end

    return true
end


-- What this group has not seen.  Nil and why, when something went wrong.

function _M.run(options)
    local red, err = connect(options.redis)
    local taken, why, refused

    if not red then
        return nil, err
    end

    for p = 0, PARTITIONS - 1 do
        taken, why = run_partition(red, options, p)

        if taken == nil then
            return nil, why
        end

        refused = refused or why
    end

    red:set_keepalive(60000, 4)

    return not refused, refused
end


function _M.start(options)
    local again

    local function wait(seconds)
        local ok, err = ngx.timer.at(seconds, again)

        if not ok and not ngx.worker.exiting() then
            ngx.log(ngx.ERR, 'courier: ends: ', err)
        end
    end

    function again(premature)
        if premature then
            return
        end

        -- whatever it was, the next round comes
        local sound, ok, err = pcall(_M.run, options)

        if not (sound and ok) and not ngx.worker.exiting() then
            ngx.log(ngx.ERR, 'courier: ', sound and err or ok)
        end

        wait(options.every or 1)
    end

    wait(0)
end


return _M
