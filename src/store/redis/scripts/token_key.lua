#!lua flags=allow-oom
-- Keeps the key that page tokens are sealed with, unless one is kept already.
--
-- KEYS  1 the kept one
-- ARGV  1 the one to keep
-- Returns the kept one.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
