--
-- A page that knows its reader: greets by tier, and says how many points there
-- are.
--
--     location / {
--         loyalty_lookup shop member=$cookie_member;
--         proxy_pass http://backend;
--         proxy_set_header Accept-Encoding "";
--         rewrite_by_lua_block       { require('personal').request() }
--         header_filter_by_lua_block { require('personal').header() }
--         body_filter_by_lua_block   { require('personal').body() }
--     }
--
-- The lookup has run before the backend is asked; here are only its variables.
-- Where it did not come in time the page says nothing.  The place is marked in
-- the page: <!-- loyalty -->
--
-- $cookie_member stands for whatever says who is signed in; a cookie that the
-- client can choose is no identity.  conf/shop.conf asks the shop.
--

local _M = {}

local MARK = '<!-- loyalty -->'


local function escape(text)
    return (text:gsub('[&<>"]', { ['&'] = '&amp;', ['<'] = '&lt;',
                                  ['>'] = '&gt;', ['"'] = '&quot;' }))
end


function _M.greeting(tier, points)
    if tier == 'gold' then
        return 'Welcome back. Coffee is on the house today, you have '
               .. escape(points) .. ' points.'
    end

    return 'You have ' .. escape(points) .. ' points.'
end


-- what a browser has of the page is another reader's, or of another time: it is
-- not asked whether the page has changed since, nor for a part of it
function _M.request()
    for _, name in ipairs { 'If-None-Match', 'If-Modified-Since', 'If-Match',
                            'If-Unmodified-Since', 'If-Range', 'Range' } do
        ngx.req.clear_header(name)
    end
end


function _M.header()
    -- the length changes with the text
    if (ngx.header['Content-Type'] or ''):find('^text/html') then
        ngx.header['Content-Length'] = nil

        -- nor is it the page that the backend knows by these
        ngx.header['ETag'] = nil
        ngx.header['Last-Modified'] = nil
        ngx.header['Cache-Control'] = 'private, no-store'
        ngx.ctx.personal = true
    end
end


function _M.body()
    local ctx = ngx.ctx

    if not ctx.personal then
        return
    end

    -- the mark may be cut in two by buffers: the page is kept until its end
    ctx.page = (ctx.page or '') .. ngx.arg[1]

    if not ngx.arg[2] then
        ngx.arg[1] = nil
        return
    end

    local text = ''
    local status = ngx.var.loyalty_status
    local points = ngx.var.loyalty_balance_points    -- the wallet "points"

    -- asked just now, or known from a loyalty_lookup_cache
    if points and (status == 'ok' or status == 'hit') then
        text = _M.greeting(ngx.var.loyalty_tier, points)
    end

    local from, to = ctx.page:find(MARK, 1, true)

    ngx.arg[1] = from and ctx.page:sub(1, from - 1) .. text
                          .. ctx.page:sub(to + 1)
                 or ctx.page
    ctx.page = nil
end


return _M
