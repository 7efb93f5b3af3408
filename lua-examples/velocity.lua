--
-- A check before a play: how fast does this member go, and is it a browser?
--
--     lua_shared_dict velocity 1m;
--
--     location /loyalty/ {
--         access_by_lua_block {
--             require('velocity').check { member = ngx.var.loyalty_member,
--                                         most = 5, seconds = 10 }
--         }
--         loyalty_member_api shop;
--         loyalty_member     $loyalty_jwt_sub;
--     }
--
-- Who is too fast gets 429 with a problem, as the API itself would answer;
-- who is no browser and no app is told so with 403.  Reading stays free.
--

local cjson = require 'cjson.safe'

local _M = {}


local function refuse(status, code, title, retry_after)
    ngx.status = status
    ngx.header['Content-Type'] = 'application/problem+json'
    ngx.header['Retry-After'] = retry_after

    ngx.print(cjson.encode {
        type = 'urn:nginx-loyalty:problem:' .. code, code = code,
        title = title, status = status, retry_after = retry_after })

    return ngx.exit(status)
end


-- agents that nobody plays with

local function is_bot(agent)
    return not agent or agent == ''
           or agent:lower():find('bot', 1, true)
           or agent:lower():find('^curl/')
           or agent:lower():find('^python')
end


function _M.check(options)
    if ngx.req.get_method() ~= 'POST' then
        return
    end

    if is_bot(ngx.var.http_user_agent) then
        return refuse(403, 'no_browser', 'Games are for people')
    end

    local member = options.member

    -- nobody: the API says so itself
    if not member or member == '' then
        return
    end

    local count = ngx.shared.velocity:incr(member, 1, 0, options.seconds)

    -- without memory the games go on
    if count and count > options.most then
        return refuse(429, 'rate_limited', 'Too many requests',
                      options.seconds)
    end
end


return _M
