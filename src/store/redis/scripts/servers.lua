#!lua flags=no-writes
-- Counts the servers that are known to serve, in the time of Redis alone.
--
-- KEYS  1 servers, by the time in milliseconds until which they are known to serve
-- ARGV  none
-- Returns how many.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
