-- Keeps what became known of a purchase, all at once.
--
-- KEYS   open (a purchase for each field), settled (one for each id), bought (when, by field)
-- ARGV   the field, the purchase's id, its row, its state, when it changed
local open, settled, bought = KEYS[1], KEYS[2], KEYS[3]
local field, id, row, state, changed_at = unpack(ARGV)

local in_the_way = redis.call('HGET', open, field)
local is_open = in_the_way and cjson.decode(in_the_way).id == id
local before = redis.call('HGET', settled, id)

if state == 'sending' or state == 'unknown' then
  if in_the_way and not is_open then return end
  redis.call('HSET', open, field, row)
  redis.call('HDEL', settled, id)
  return
end
-- Whoever looked into the list before it was bought must not have the last word.
if state == 'not bought' and before and cjson.decode(before).state == 'bought' then return end
if is_open then redis.call('HDEL', open, field) end
redis.call('HSET', settled, id, row)
if state == 'bought' then redis.call('HSET', bought, field, changed_at) end
