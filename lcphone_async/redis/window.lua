-- One visit to a location's window, a sorted set; all times in milliseconds of Redis' own clock.
-- A slot's score is when it was answered, or will be at the latest: it is free a period later.
-- A claim's is when a process that found no room was told to come back, less CLAIM; a limit's is
-- until when it is kept to, less 2 * CLAIM. So limits sort before claims, and claims before slots.
--
-- KEYS[1]  the set
-- ARGV     limit, period, lease, slots wanted, the process, the number of its next slot,
--          a slot of the process that must be in the set ('' for none), grace for claims,
--          the limit that an answer told last ('limit:requests:period', '' for none), and the time
--          since then; then pairs of a slot and the time since its answer
-- Returns  slots granted, time to wait for more, whether slots were lost (1 or 0), and the
--          strictest of the limits told, as its requests and its period (0 if there is none)
local CLAIM = 1e13
local key, limit, period, lease = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, process, next_slot = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local witness, grace, told, told_ago = ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

-- Of all that was told within the last period, the strictest holds, and for every process.
if told ~= '' then
  local until_then = now - told_ago + tonumber(string.match(told, '[^:]+$')) - 2 * CLAIM
  local known = redis.call('ZSCORE', key, told)
  if not known or tonumber(known) < until_then then redis.call('ZADD', key, until_then, told) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 2 * CLAIM)
end
local requests, longest = 0, 0
for _, one in ipairs(redis.call('ZRANGEBYSCORE', key, now - 2 * CLAIM, -CLAIM)) do
  local most, interval = string.match(one, '^limit:([^:]+):([^:]+)$')
  requests = requests == 0 and tonumber(most) or math.min(requests, tonumber(most))
  longest = math.max(longest, tonumber(interval))
end
if requests > 0 then
  limit, period = math.min(limit, requests), math.max(period, longest)
end

-- A set that lost a slot has lost others: nothing is granted for as long as they may count.
local lost = 0
if witness ~= '' and not redis.call('ZSCORE', key, witness) then
  lost = 1
  redis.call('ZADD', key, now, 'hold')
end
for i = 11, #ARGV, 2 do
  redis.call('ZADD', key, now - tonumber(ARGV[i + 1]), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', key, 0, now - period)
redis.call('ZREMRANGEBYSCORE', key, -CLAIM, now - grace - CLAIM)
redis.call('ZREM', key, 'claim:' .. process)
local hold = redis.call('ZSCORE', key, 'hold')
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
if hold then return {0, math.ceil(hold + period - now), lost, requests, math.ceil(longest)} end

local taken = redis.call('ZCOUNT', key, 0, '+inf')
local due = redis.call('ZCOUNT', key, -CLAIM, now - CLAIM)
local granted = math.max(0, math.min(want, limit - taken - due))
for i = 0, granted - 1 do
  redis.call('ZADD', key, now + lease, process .. ':' .. (next_slot + i))
end
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
if granted == want then return {granted, 0, lost, requests, math.ceil(longest)} end

-- The slot to wait for: the first that no earlier claim waits for. One that is under way may be
-- free a period from now; by then its answer will have told.
taken = taken + granted
local claims = redis.call('ZCOUNT', key, -CLAIM, '(0')
local free = now + period
if limit > 0 and taken > 0 then
  local place = math.min(math.max(0, taken + claims - limit), taken - 1)
  local slot = redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES', 'LIMIT', place, 1)
  free = math.min(slot[2] + period, now + period)
end
redis.call('ZADD', key, free - CLAIM, 'claim:' .. process)
redis.call('PEXPIRE', key, math.ceil(lease + period + grace))
return {granted, math.ceil(free - now), lost, requests, math.ceil(longest)}
