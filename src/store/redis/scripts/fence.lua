#!lua flags=allow-oom
-- Raises the fence of one partition; it never falls.
--
-- KEYS  1 fence
-- ARGV  1 epoch, 2 fence of that epoch
-- Returns 1.
local seen = redis.call('GET', KEYS[1])
if not seen or tonumber(string.match(seen, '^%d+')) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
