#!lua flags=allow-oom
-- Keeps a model, in the time of Redis alone.
--
-- KEYS  1 texts
-- ARGV  1 fingerprint, 2 source, 3 names of its ranks (JSON; '' leaves them as they are)
-- Returns 1.
local function field(name)
  return ARGV[1] .. ':' .. name
end
-- A large one is not written again for nothing.
redis.call('HSETNX', KEYS[1], field('source'), ARGV[2])
if ARGV[3] ~= '' then
  redis.call('HSETNX', KEYS[1], field('ranks'), ARGV[3])
end
redis.call('HSET', KEYS[1], field('saved'), redis.call('TIME')[1])
return 1
