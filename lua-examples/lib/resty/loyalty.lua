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
-- "unreachable".  As long as again is true the request may be sent again: with
-- the same id or key it counts once.  What no request can be made of is
-- "not_sent".
--
-- options of new():
--     host, port, or unix = 'unix:/path'; a name needs nginx's resolver
--     name      the server_name, where it is not the host
--     events    the event API's location, '/loyalty-in' by default
--     members   the member API's, '/loyalty'
--     header    the header that tells loyalty_member who asks, 'X-Member'
--     key       events are signed with it: hexadecimal digits, as they stand
--               behind the id in the file of loyalty_signature
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


local function bytes(digits)
    return (digits:gsub('%x%x', function(c)
        return string.char(tonumber(c, 16))
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
        name = options.name or options.host or 'localhost',
        events = options.events or '/loyalty-in',
        members = options.members or '/loyalty',
        header = options.header or 'X-Member',
        key = options.key and bytes(options.key),
        timeout = options.timeout or 1000
    }, mt)
end


local function unanswered(why, again)
    return nil, { status = 0, code = again and 'unreachable' or 'not_sent',
                  detail = why, again = again }
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


-- a request as it is sent, or nil and why it cannot be

local function format(self, method, path, body, headers)
    local text, err = body or '', nil

    if type(body) == 'table' then
        text, err = cjson.encode(body)
    end

    if not text then
        return nil, err
    end

    local out = { method, ' ', path, ' HTTP/1.1\r\nHost: ', self.name, '\r\n' }

    if text ~= '' then
        out[#out + 1] = 'Content-Type: application/json\r\n'
    end

    if self.key and path:sub(1, #self.events) == self.events then
        out[#out + 1] = 'Loyalty-Signature: '
                        .. _M.sign(self.key, text) .. '\r\n'
    end

    for name, value in pairs(headers or {}) do
        value = tostring(value)

        -- a member with a line feed in it would begin a header of its own, and
        -- one with a blank at its end arrive without it, as somebody else
        if value:find('%c') then
            return nil, name .. ' has a control character'
        elseif value:find('^ ') or value:find(' $') then
            return nil, name .. ' begins or ends with a blank'
        end

        out[#out + 1] = name .. ': ' .. value .. '\r\n'
    end

    out[#out + 1] = 'Content-Length: ' .. #text .. '\r\n\r\n' .. text

    return out
end


-- Status, body and headers of the response; or nil, why, and whether it was a
-- kept connection that turned out to be closed.

local function exchange(self, out)
    local sock = ngx.socket.tcp()
    local ok, err

    sock:settimeout(self.timeout)

    if self.port then
        ok, err = sock:connect(self.host, self.port)
    else
        ok, err = sock:connect(self.host)
    end

    if not ok then
        return nil, err
    end

    local kept = sock:getreusedtimes() > 0
    local status, head

    ok, err = sock:send(out)

    if ok then
        status, head = read_head(sock)
        err = head
    end

    if not status then
        return nil, err, kept and err ~= 'timeout'
    end

    local reply, last = read_body(sock, status, head)

    if not reply then
        return nil, 'the response is cut off'
    end

    if last or (head.connection or ''):lower() == 'close' then
        sock:close()
    else
        sock:setkeepalive(IDLE, KEPT)
    end

    return status, reply, head
end


-- Sends a request; a table is sent as JSON.  Returns status, the JSON of the
-- response, and its headers; or nil, why, and whether it can be sent again.

function _M:request(method, path, body, headers)
    local out, err = format(self, method, path, body, headers)

    if not out then
        return nil, err, false
    end

    local status, reply, head

    repeat
        status, reply, head = exchange(self, out)
    until status or not head

    if not status then
        return nil, reply, true
    end

    return status, cjson.decode(reply), head
end


-- nothing was done, or what was done counts once
local AGAIN = { [429] = true, [502] = true, [503] = true, [504] = true }


function _M:call(method, path, body, headers)
    local status, reply, extra = self:request(method, path, body, headers)

    if not status then
        return unanswered(reply, extra)
    end

    if status == 200 and reply then
        return reply, nil, extra
    end

    return nil, { status = status, code = reply and reply.code or 'unknown',
                  detail = reply and reply.detail,
                  retry_after = reply and reply.retry_after,
                  again = AGAIN[status] or false }
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
