--
-- A game of one's own on top of the APIs: guess a number from 1 to 10 once a
-- day, for points.
--
--     location = /guess {
--         content_by_lua_block {
--             require('guess').run { host = '127.0.0.1', port = 8080,
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
    local args = ngx.req.get_uri_args()
    local member = ngx.var.http_x_member
    local guess = tonumber(args.number)

    if not member or not guess then
        return answer(400, { error = 'a member and a number expected' })
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

    return answer(503, { error = problem.code })
end


return _M
