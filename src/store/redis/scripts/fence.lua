#!lua flags=allow-oom
-- Raises the fence of one partition; it never falls.
--
-- KEYS  1 fence
-- ARGV  1 epoch, 2 fence of that epoch
-- Returns 1.
-- Error SUPERSEDED when the partition has seen a later epoch.
local seen = redis.call('GET', KEYS[1])
if seen and tonumber(string.match(seen, '^%d+')) > tonumber(ARGV[1]) then
  return redis.error_reply('SUPERSEDED by a later epoch')
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
