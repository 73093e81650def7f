#!lua
-- Marks a database as Bellwether's, unless another server has done so.
--
-- KEYS  1 marker
-- ARGV  1 format, 2 partitions, 3 identity
-- Returns { format, partitions, identity } as they are stored now.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'partitions', ARGV[2])
end
redis.call('HSETNX', KEYS[1], 'identity', ARGV[3])
return redis.call('HMGET', KEYS[1], 'format', 'partitions', 'identity')
