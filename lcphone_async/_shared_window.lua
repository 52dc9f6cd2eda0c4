-- One visit to a location's window, a sorted set; all times in milliseconds of Redis' own clock.
-- A slot's score is when it is free again. A claim's is when a process that found no room was
-- told to come back, less CLAIM, so that claims sort before slots.
--
-- KEYS[1]  the set
-- ARGV     limit, period, lease, slots wanted, the process, the number of its next slot,
--          a slot of the process that must be in the set ('' for none), grace for claims;
--          then pairs of a slot and the time since its answer
-- Returns  slots granted, time to wait for more, whether slots were lost (1 or 0)
local CLAIM = 1e13
local key, limit, period, lease = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, process, next_slot = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local witness, grace = ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

-- A set that lost a slot has lost others: nothing is granted for as long as they may count.
local lost = 0
if witness ~= '' and not redis.call('ZSCORE', key, witness) then
  lost = 1
  redis.call('ZADD', key, now + period, 'hold')
end
for i = 9, #ARGV, 2 do
  redis.call('ZADD', key, now - tonumber(ARGV[i + 1]) + period, ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', key, 0, now)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - grace - CLAIM)
redis.call('ZREM', key, 'claim:' .. process)
local hold = redis.call('ZSCORE', key, 'hold')
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
if hold then return {0, math.ceil(hold - now), lost} end

local taken = redis.call('ZCOUNT', key, 0, '+inf')
local due = redis.call('ZCOUNT', key, '-inf', now - CLAIM)
local granted = math.max(0, math.min(want, limit - taken - due))
for i = 0, granted - 1 do
  redis.call('ZADD', key, now + lease + period, process .. ':' .. (next_slot + i))
end
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
if granted == want then return {granted, 0, lost} end

-- The slot to wait for: the first that no earlier claim waits for. One that is under way may be
-- free a period from now; by then its answer will have told.
taken = taken + granted
local claims = redis.call('ZCOUNT', key, '-inf', '(0')
local free = now + period
if limit > 0 and taken > 0 then
  local place = math.min(math.max(0, taken + claims - limit), taken - 1)
  local slot = redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES', 'LIMIT', place, 1)
  free = math.min(slot[2], now + period)
end
redis.call('ZADD', key, free - CLAIM, 'claim:' .. process)
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
return {granted, math.ceil(free - now), lost}
