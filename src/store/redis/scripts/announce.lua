#!lua flags=allow-oom
-- Makes known that a server serves, in the time of Redis alone.
--
-- KEYS  1 servers, by the time in milliseconds until which they are known to serve
-- ARGV  1 server, 2 period in milliseconds
-- Returns how many others serve.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return redis.call('ZCARD', KEYS[1]) - 1
