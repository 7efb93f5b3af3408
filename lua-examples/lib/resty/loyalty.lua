--
-- A small client of nginx-loyalty's HTTP APIs for lua-nginx-module.
--
--     local loyalty = require 'resty.loyalty'
--     local shop = loyalty.new { host = '127.0.0.1', port = 8080 }
--
--     local reply, problem = shop:event {
--         id = 'order-1', member = 'ada', type = 'purchase',
--         amount = '12.50' }
--
-- reply is the JSON as a table; problem is nil, or a table with status, code
-- and detail, as docs/api.md lists them.  Where nothing came back, code is
-- "unreachable" and again is true: sent again with the same id or key, the
-- request counts once.
--
-- options of new():
--     host, port, or unix = 'unix:/path'
--     events    the event API's location, '/loyalty-in' by default
--     members   the member API's, '/loyalty'
--     header    the header that tells loyalty_member who asks, 'X-Member'
--     key       { id = ..., secret = <bytes> }: events are signed with it
--     timeout   ms, 1000 by default
--

local cjson = require 'cjson.safe'
local ffi = require 'ffi'

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len,
                    const unsigned char *data, size_t n, unsigned char *out,
                    unsigned int *len);
]]

local _M = {}
local mt = { __index = _M }

local IDLE = 60000                  -- ms that a connection is kept
local KEPT = 16                     -- of them in each worker


local function hmac_sha256(key, data)
    local out = ffi.new('unsigned char[32]')
    local len = ffi.new('unsigned int[1]')

    if ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, data, #data, out, len)
       == nil
    then
        return nil
    end

    return ffi.string(out, len[0])
end


local function hex(bytes)
    return (bytes:gsub('.', function(c)
        return ('%02x'):format(c:byte())
    end))
end


-- the value of the header Loyalty-Signature for a body

function _M.sign(secret, body, now)
    local t = tostring(math.floor(now or ngx.time()))

    return 't=' .. t .. ',v1=' .. hex(hmac_sha256(secret, t .. '.' .. body))
end


-- one part of a path

function _M.escape(part)
    return (part:gsub('[^%w_.~-]', function(c)
        return ('%%%02X'):format(c:byte())
    end))
end


function _M.new(options)
    return setmetatable({
        host = options.unix or options.host or '127.0.0.1',
        port = not options.unix and (options.port or 80) or nil,
        events = options.events or '/loyalty-in',
        members = options.members or '/loyalty',
        header = options.header or 'X-Member',
        key = options.key,
        timeout = options.timeout or 1000
    }, mt)
end


local function unreachable(why, again)
    return nil, { status = 0, code = 'unreachable', detail = why,
                  again = again }
end


-- the head of a response: its status and its headers in lower case

local function read_head(sock)
    local line, err = sock:receive('*l')

    if not line then
        return nil, err
    end

    local status = tonumber(line:match('^HTTP/1%.%d (%d%d%d)'))
    local headers = {}

    while true do
        line, err = sock:receive('*l')

        if not line then
            return nil, err
        end

        if line == '' then
            return status, headers
        end

        local name, value = line:match('^([^:]+):%s*(.-)%s*$')

        if name then
            headers[name:lower()] = value
        end
    end
end


-- chunks up to the empty one

local function read_chunks(sock)
    local parts = {}

    while true do
        local line = sock:receive('*l')
        local size = line and tonumber(line:match('^%x+'), 16)

        if not size then
            return nil
        end

        local chunk = size == 0 and '' or sock:receive(size)

        if not chunk or not sock:receive('*l') then
            return nil
        end

        if size == 0 then
            return table.concat(parts)
        end

        parts[#parts + 1] = chunk
    end
end


-- the body, and whether the connection ends with it

local function read_body(sock, status, head)
    local length = tonumber(head['content-length'])

    if status == 204 or status == 304 or length == 0 then
        return ''
    elseif head['transfer-encoding'] then
        return read_chunks(sock)
    elseif length then
        return sock:receive(length)
    end

    return sock:receive('*a'), true
end


-- Sends a request; a table is sent as JSON.  Returns status, the JSON of the
-- response, and its headers; or nil and why.

function _M:request(method, path, body, headers)

    -- a member with a line feed in it would begin a header of its own
    for name, value in pairs(headers or {}) do
        if tostring(value):find('%c') then
            return nil, name .. ' has a control character', false
        end
    end

    local sock = ngx.socket.tcp()

    sock:settimeout(self.timeout)

    local ok, err

    if self.port then
        ok, err = sock:connect(self.host, self.port)
    else
        ok, err = sock:connect(self.host)
    end

    if not ok then
        return nil, err, false
    end

    local text = type(body) == 'table' and cjson.encode(body) or body or ''
    local out = { method, ' ', path, ' HTTP/1.1\r\nHost: loyalty\r\n' }

    if text ~= '' then
        out[#out + 1] = 'Content-Type: application/json\r\n'
    end

    if self.key and path:sub(1, #self.events) == self.events then
        out[#out + 1] = 'Loyalty-Signature: '
                        .. _M.sign(self.key.secret, text) .. '\r\n'
    end

    for name, value in pairs(headers or {}) do
        out[#out + 1] = name .. ': ' .. tostring(value) .. '\r\n'
    end

    out[#out + 1] = 'Content-Length: ' .. #text .. '\r\n\r\n' .. text

    ok, err = sock:send(out)

    if not ok then
        return nil, err, true
    end

    local status, head = read_head(sock)

    if not status then
        return nil, head, true
    end

    local reply, last = read_body(sock, status, head)

    if not reply then
        return nil, 'the response is cut off', true
    end

    if last or (head.connection or ''):lower() == 'close' then
        sock:close()
    else
        sock:setkeepalive(IDLE, KEPT)
    end

    return status, cjson.decode(reply), head
end


function _M:call(method, path, body, headers)
    local status, reply, extra = self:request(method, path, body, headers)

    if not status then
        return unreachable(reply, extra)
    end

    if status == 200 and reply then
        return reply, nil, extra
    end

    return nil, { status = status, code = reply and reply.code or 'unknown',
                  detail = reply and reply.detail,
                  retry_after = reply and reply.retry_after,
                  again = status == 503 or status == 504 }
end


-- ---- what the shop's servers report ----

function _M:event(event)
    return self:call('POST', self.events .. '/events', event)
end


function _M:reversal(id, reversal)
    return self:call('POST', self.events .. '/events/' .. _M.escape(id)
                             .. '/reversal', reversal)
end


-- ---- what a member asks ----

function _M:member(member, method, path, body, key)
    return self:call(method, self.members .. '/' .. path, body,
                     { [self.header] = member, ['Idempotency-Key'] = key })
end


function _M:me(member)
    return self:member(member, 'GET', 'me')
end


function _M:redeem(member, reward, key)
    return self:member(member, 'POST', 'rewards/' .. _M.escape(reward)
                                       .. '/redemptions', nil, key)
end


function _M:play(member, game, key)
    return self:member(member, 'POST', 'games/' .. _M.escape(game)
                                       .. '/plays', nil, key)
end


function _M:enter(member, sweepstakes, tickets, key)
    return self:member(member, 'POST', 'sweepstakes/'
                                       .. _M.escape(sweepstakes)
                                       .. '/entries', { tickets = tickets },
                       key)
end


return _M
