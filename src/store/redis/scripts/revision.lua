#!lua flags=allow-oom
-- The revision of a model: given once, in the order in which servers first started with it.
--
-- KEYS  1 revisions by scope and model
-- ARGV  1 scope and model
-- Returns the revision. By the time of Redis in microseconds, so that none comes twice after a
-- failover has lost some.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  return tonumber(known)
end
local time = redis.call('TIME')
local revision = tonumber(time[1]) * 1000000 + tonumber(time[2])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', revision))
return revision
