--
-- A checkout in Lua that credits what was bought.
--
--     location = /checkout {
--         client_body_buffer_size 64k;
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
-- What waits is in the memory of a worker, for a quarter of an hour; when that
-- is over, or nginx ends, the error log has the event, to be sent again with
-- bin/loyalty-call.  loyalty_observe keeps what waits on the disk.
--

local cjson = require 'cjson.safe'
local loyalty = require 'resty.loyalty'

local _M = {}

local TRIES = 38
local DELAY = 30                    -- seconds, at most

local wait


local function lost(event, code, detail)
    ngx.log(ngx.ERR, event.id, ' is not credited: ', code, ' ', detail or '',
            ': ', cjson.encode(event))
end


-- goes on behind the response; when nginx ends all timers come prematurely

local function later(premature, options, event, try)
    local reply, problem = loyalty.new(options):event(event)

    if reply then
        return
    end

    if premature or not problem.again or try == TRIES then
        return lost(event, problem.code, problem.detail)
    end

    wait(options, event, try + 1)
end


-- the delay doubles with every try

function wait(options, event, try)
    local ok, err = ngx.timer.at(math.min(2 ^ try / 20, DELAY), later, options,
                                 event, try)

    if not ok then
        lost(event, err)
    end
end


local function answer(status, body)
    ngx.status = status
    ngx.header['Content-Type'] = 'application/json'
    ngx.say(cjson.encode(body))
end


-- a text or a whole number; Lua would write a large one as 1.2e+16

local function text(value)
    if type(value) == 'number' then
        return value % 1 == 0 and math.abs(value) < 2 ^ 53
               and ('%.0f'):format(value)
    end

    return type(value) == 'string' and value ~= '' and value
end


-- Here the order comes with the request.  A shop has it in its own session and
-- basket: what a browser says of customer and total is nobody's word but the
-- browser's.

local function read_order()
    ngx.req.read_body()

    local order = cjson.decode(ngx.req.get_body_data() or '')

    if type(order) ~= 'table' then
        return nil
    end

    local number, customer = text(order.number), text(order.customer)

    if not number or not customer or type(order.total) ~= 'string' then
        return nil
    end

    return { id = 'order-' .. number, member = customer, type = 'purchase',
             amount = order.total }, order.number
end


function _M.run(options)
    local event, number = read_order()

    if not event then
        return answer(400, { error = 'number, customer and total expected' })
    end

    local reply, problem = loyalty.new(options):event(event)
    local points = 0

    if reply then
        for _, effect in ipairs(reply.effects) do
            if effect.type == 'points' then
                points = points + effect.amount
            end
        end

    elseif problem.again then
        wait(options, event, 1)
        points = nil

    else
        lost(event, problem.code, problem.detail)
    end

    return answer(200, { order = number, points = points,
                         points_follow = points == nil })
end


return _M
