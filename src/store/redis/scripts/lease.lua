#!lua flags=allow-oom
-- Takes or keeps a right that one server has at a time.
--
-- KEYS  1 who has it
-- ARGV  1 server, 2 period in milliseconds
-- Returns 1 when the server has it now, 0 when another has.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
