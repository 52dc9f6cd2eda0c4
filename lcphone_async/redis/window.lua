-- Sliding window of one location, shared by all processes. How it works:
--
-- The window is one sorted set. All times are milliseconds of Redis' clock, so the clocks of the
-- processes do not matter; processes send ages instead of times.
-- A slot's score is the time of its response, or the end of its lease while the request is in
-- flight. The slot is free one period after its score. A process renews the leases of long requests.
-- If too few slots are free, the process leaves a claim and is told how long to wait. A claim keeps
-- a free slot for its process until a grace time has passed, so that processes are served in order.
-- Limits that the service reported to any process are kept for one period; the strictest applies.
-- A claim's score is the time to come back, less CLAIM; a limit's is its expiry, less 2 * CLAIM.
-- So limits sort before claims, claims before slots, and ZCOUNT counts each kind.
-- If a slot that must be in the set is missing, Redis has lost data: a hold stops grants for one
-- period, while all processes report the slots that they have in flight.
--
-- KEYS[1]  the set
-- ARGV     limit, period, lease, slots wanted, the process, the number of its next slot,
--          a slot of the process that must be in the set ('' for none), grace for claims,
--          the limit that a response reported last ('limit:requests:period', '' for none), and the time
--          since then; then pairs of a slot and the time since its answer
-- Returns  slots granted, time to wait for more, whether slots were lost (1 or 0), and the
--          strictest of the reported limits, as its requests and its period (0 if there is none)
local CLAIM = 1e13
local key, limit, period, lease = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, process, next_slot = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local witness, grace, told, told_ago = ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

-- The strictest limit that was reported within the last period applies to every process.
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

-- Other slots were probably lost too: grant nothing while they may still count.
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

-- Wait for the first slot that no earlier claim waits for. A slot in flight has the end of its lease
-- as score, but its response may come now: so wait one period at most.
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
