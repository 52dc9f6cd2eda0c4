-- Keeps a purchase that begins, or replaces a record by the one that follows it, all at once.
--
-- KEYS   open (a row for each field), closed (a row for each id), bought (the last row for each
--        field), refused (an id for each field), spent (of one currency: ids with their price,
--        scored by the time of sending)
-- ARGV   verb, field, id, row, state, sent (seconds), price (millionths, '' if not known), and
--        begin: the id of the last one bought when the maker asked or '', the limit (millionths,
--        '' for none), and the time from which purchases count
--        replace: the version to be replaced
-- Returns begin: '' or what is in the way, 'open', 'bought' or 'limit <millionths spent>'
--         replace: '1' if the record was replaced, else ''
local open, closed, bought, refused, spent = unpack(KEYS)
local verb, field, id, row, state, sent, price, old, limit, since = unpack(ARGV)

local function decoded(kept) return kept and cjson.decode(kept) or {} end

local opened_row = redis.call('HGET', open, field)
local opened = decoded(opened_row)
local is_other = opened.id and opened.id ~= id
local entry = id .. ' ' .. price

local function spent_by_others()
  local sum = 0
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', spent, since, '+inf')) do
    if other ~= entry then sum = sum + tonumber(string.match(other, '%d+$')) end
  end
  return sum
end

if verb == 'begin' then
  if is_other then return 'open' end
  if (decoded(redis.call('HGET', bought, field)).id or '') ~= old then return 'bought' end
  if limit ~= '' then
    local sum = spent_by_others()
    if sum + tonumber(price) > tonumber(limit) then
      return 'limit ' .. string.format('%.0f', sum)
    end
  end
  -- No reconcile may close a refused purchase by what its list shows from now on.
  local before = redis.call('HGET', refused, field)
  local before_row = before and before ~= id and redis.call('HGET', closed, before)
  if before_row and decoded(before_row).state == 'refused' then
    local later = decoded(before_row)
    later.version = later.version + 1
    redis.call('HSET', closed, before, cjson.encode(later))
  end
else
  local kept_row = opened.id == id and opened_row or redis.call('HGET', closed, id)
  if kept_row == row then return '1' end  -- redis-py sends a command again if its answer was lost
  local kept = decoded(kept_row)
  if not kept.id or string.format('%.0f', kept.version or 0) ~= old then return '' end
  if is_other and (state == 'sending' or state == 'unknown') then return '' end
end

if state == 'sending' or state == 'unknown' then
  redis.call('HSET', open, field, row)
  redis.call('HDEL', closed, id)
else
  if opened.id == id then redis.call('HDEL', open, field) end
  redis.call('HSET', closed, id, row)
end
if state == 'bought' then redis.call('HSET', bought, field, row) end
if state == 'refused' then redis.call('HSET', refused, field, id) end
if price ~= '' then
  if state == 'refused' or state == 'not bought' then
    redis.call('ZREM', spent, entry)
  else
    redis.call('ZADD', spent, sent, entry)
  end
end
return verb == 'replace' and '1' or ''
