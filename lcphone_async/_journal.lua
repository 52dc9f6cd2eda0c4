-- Keeps a purchase that begins, what its maker knows of it, or what was found of it, all at once.
--
-- KEYS   open (a purchase for each field), settled (one for each id), bought (the last one made
--        for each field)
-- ARGV   the verb, the field, the purchase's id, its row, its state, and
--        to begin: the id of the last one made when the maker asked, or ''
--        to settle: the row as it was when the list was asked
-- Returns what is in the way of one that begins ('open' or 'bought') or '', and to settle the row
-- that is kept then.
local open, settled, bought = KEYS[1], KEYS[2], KEYS[3]
local verb, field, id, row, state, more = unpack(ARGV)

local function id_of(kept) return kept and cjson.decode(kept).id or '' end

local opened = redis.call('HGET', open, field)
local is_other = opened and id_of(opened) ~= id
local kept = opened and not is_other and opened or redis.call('HGET', settled, id)

if verb == 'begin' then
  if is_other then return 'open' end
  if id_of(redis.call('HGET', bought, field)) ~= more then return 'bought' end
elseif verb == 'settle' then
  if kept ~= more then return kept or row end
elseif state == 'not bought' then
  -- What the list showed to be bought is bought, whatever the service answered.
  if not kept or cjson.decode(kept).state == 'bought' then return '' end
end

if state == 'sending' or state == 'unknown' then
  if is_other then return '' end  -- it was given up meanwhile, and must not end another
  redis.call('HSET', open, field, row)
  redis.call('HDEL', settled, id)
else
  if opened and not is_other then redis.call('HDEL', open, field) end
  redis.call('HSET', settled, id, row)
  if state == 'bought' then redis.call('HSET', bought, field, row) end
end
return verb == 'settle' and row or ''
