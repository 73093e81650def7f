#!lua
-- Marks a database as Bellwether's, unless another server has done so.
--
-- KEYS  1 marker
-- ARGV  1 format, 2 partitions
-- Returns { format, partitions } as they are stored now.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'partitions', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'format', 'partitions')
