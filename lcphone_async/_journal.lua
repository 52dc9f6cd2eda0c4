-- Keeps a purchase that begins, or what became known of one, all at once.
--
-- KEYS   open (a purchase for each field), settled (one for each id), bought (how often, by field)
-- ARGV   the field, the purchase's id, its row, its state, and where it begins how often the
--        number had been bought
-- Returns what is in the way of a purchase that begins ('open' or 'bought'), or ''.
local open, settled, bought = KEYS[1], KEYS[2], KEYS[3]
local field, id, row, state, times_bought = unpack(ARGV)

local in_the_way = redis.call('HGET', open, field)
local is_open = in_the_way and cjson.decode(in_the_way).id == id
local before = redis.call('HGET', settled, id)
local state_before = before and cjson.decode(before).state

if times_bought then
  if in_the_way and not is_open then return 'open' end
  if (redis.call('HGET', bought, field) or '0') ~= times_bought then return 'bought' end
end
if state == 'sending' or state == 'unknown' then
  if in_the_way and not is_open then return '' end
  redis.call('HSET', open, field, row)
  redis.call('HDEL', settled, id)
  return ''
end
-- Whoever looked into the list before it was bought must not have the last word.
if state == 'not bought' and state_before == 'bought' then return '' end
if state == 'not bought' and not is_open and not before then return '' end
if is_open then redis.call('HDEL', open, field) end
redis.call('HSET', settled, id, row)
if state == 'bought' and state_before ~= 'bought' then redis.call('HINCRBY', bought, field, 1) end
return ''
