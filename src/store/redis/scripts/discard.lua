#!lua
-- Deletes keys of one partition, as long as nobody needs it again.
--
-- KEYS  1 fence, 2 ids, then the keys to delete
-- ARGV  1 epoch of the rollout that they are left over by, then the ids to take away
-- Returns 1.
-- Error SUPERSEDED when the partition has a later epoch. Then whoever deletes comes late: another one
-- has finished that, and begun anew.
local seen = redis.call('GET', KEYS[1])
if seen and tonumber(string.match(seen, '^%d+')) > tonumber(ARGV[1]) then
  return redis.error_reply('SUPERSEDED deletion')
end
if #KEYS > 2 then
  redis.call('UNLINK', unpack(KEYS, 3))
end
if #ARGV > 1 then
  redis.call('ZREM', KEYS[2], unpack(ARGV, 2))
end
return 1
