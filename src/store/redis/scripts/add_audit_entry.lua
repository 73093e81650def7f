#!lua flags=allow-oom
-- Adds an audit entry, and removes the oldest ones beyond the number that is kept.
--
-- KEYS  1 entries of a scope, by their time in milliseconds
-- ARGV  1 time in milliseconds, 2 entry, 3 how many are kept
-- Returns how many there are.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -(tonumber(ARGV[3]) + 1))
return redis.call('ZCARD', KEYS[1])
