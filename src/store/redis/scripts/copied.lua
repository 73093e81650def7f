#!lua flags=allow-oom
-- Notes that what was written is copied, unless it was written again since.
--
-- KEYS  1 written
-- ARGV  for each profile: id, version of the last write that is copied
-- Returns how many profiles are still to be copied.
for index = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[index]) == ARGV[index + 1] then
    redis.call('HDEL', KEYS[1], ARGV[index])
  end
end
return redis.call('HLEN', KEYS[1])
