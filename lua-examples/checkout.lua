--
-- A checkout in Lua that credits what was bought.
--
--     location = /checkout {
--         content_by_lua_block {
--             require('checkout').run { host = '127.0.0.1', port = 8080 }
--         }
--     }
--
-- The order is the shop's own affair and comes first; points are told to the
-- customer when they come at once, and are credited later when they do not:
-- the order's number is the event's id, so that it is credited once however
-- often it is sent.
--

local cjson = require 'cjson.safe'
local loyalty = require 'resty.loyalty'

local _M = {}

local TRIES = 5


-- goes on behind the response; DELAY doubles with every try

local function later(premature, options, event, try)
    if premature then
        return
    end

    local reply, problem = loyalty.new(options):event(event)

    if reply or not problem.again then
        return
    end

    if try == TRIES then
        ngx.log(ngx.ERR, 'order ', event.id, ' was not credited: ',
                problem.code)
        return
    end

    ngx.timer.at(2 ^ try / 10, later, options, event, try + 1)
end


local function answer(status, body)
    ngx.status = status
    ngx.header['Content-Type'] = 'application/json'
    ngx.say(cjson.encode(body))
end


function _M.run(options)
    ngx.req.read_body()

    local order = cjson.decode(ngx.req.get_body_data() or '')

    if not order or not order.number or not order.customer or not order.total
    then
        return answer(400, { error = 'number, customer and total expected' })
    end

    local event = { id = 'order-' .. order.number, member = order.customer,
                    type = 'purchase', amount = order.total }

    local reply, problem = loyalty.new(options):event(event)
    local points = 0

    if reply then
        for _, effect in ipairs(reply.effects) do
            if effect.type == 'points' then
                points = points + effect.amount
            end
        end

    elseif problem.again then
        ngx.timer.at(0.1, later, options, event, 1)
        points = nil

    else
        ngx.log(ngx.ERR, 'order ', order.number, ' is not credited: ',
                problem.code, ' ', problem.detail)
    end

    return answer(200, { order = order.number, points = points,
                         points_follow = points == nil })
end


return _M
