--
-- A game of one's own on top of the APIs: guess a number from 1 to 10 once a
-- day, for points: POST /guess?number=7.
--
--     env GUESS_SECRET;               # in the first lines of nginx.conf
--
--     location = /guess {
--         loyalty_jwt    jwks_file=login.jwks;
--         loyalty_member $loyalty_jwt_sub;
--         content_by_lua_block {
--             require('guess').run { host = '127.0.0.1', port = 8080,
--                                    member = ngx.var.loyalty_member,
--                                    secret = os.getenv('GUESS_SECRET') }
--         }
--     }
--
-- What the game needs of the engine is one event a day and member, "guess_won"
-- or "guess_lost", whose id is the day: the first one counts, and whoever asks
-- again gets the first answer.  The program pays for it:
--
--     earn guess_won points 100;
--
-- The number comes from a secret, the day and the member, so that nobody has
-- to store it.  It proves nothing to a stranger: instant_win does.
--

local cjson = require 'cjson.safe'
local loyalty = require 'resty.loyalty'

local _M = {}


function _M.number(secret, member, day)
    local sign = loyalty.sign(secret, member, day)

    return tonumber(sign:sub(-8), 16) % 10 + 1
end


local function answer(status, body)
    ngx.status = status
    ngx.header['Content-Type'] = 'application/json'
    ngx.say(cjson.encode(body))
end


function _M.run(options)
    local member = options.member
    local guess = tonumber(ngx.req.get_uri_args().number)

    -- nginx passes no environment on unless "env" says so
    assert(options.secret, 'the game needs a secret')

    -- a link that somebody follows, or a browser before anybody does, is not
    -- a guess
    if ngx.req.get_method() ~= 'POST' then
        ngx.header['Allow'] = 'POST'
        return answer(405, { error = 'POST expected' })
    end

    if not member or member == '' then
        return answer(401, { error = 'nobody is signed in' })
    end

    if not guess then
        return answer(400, { error = 'a number expected' })
    end

    local day = math.floor(ngx.time() / 86400)
    local won = guess == _M.number(options.secret, member, day)

    -- which number it was stands in the event: another guess is another
    -- content under the same id, and is refused
    local reply, problem = loyalty.new(options):event {
        id = 'guess-' .. day, member = member,
        type = won and 'guess_won' or 'guess_lost',
        data = { guess = tostring(guess) } }

    if reply then
        return answer(200, { won = won, points = reply.balances.points })
    end

    if problem.code == 'event_conflict' then
        return answer(409, { error = 'you have guessed today' })
    end

    -- the same guess, sent again, counts once
    return answer(503, { error = problem.code, again = problem.again })
end


return _M
