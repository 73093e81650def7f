#!lua flags=allow-oom
-- Makes a model the latest of a scope, in the place of the one that it may replace.
--
-- KEYS  1 models
-- ARGV  1 scope, 2 revision that it may replace, 3 revision, 4 fingerprint
-- Returns 1 when the given one is the latest now, or was already; 0 otherwise.
local function field(name)
  return ARGV[1] .. ':' .. name
end
local stored = redis.call('HMGET', KEYS[1], field('revision'), field('after'), field('latest'))
if stored[1] == ARGV[3] and stored[2] == ARGV[2] and stored[3] == ARGV[4] then
  return 1
end
if (stored[1] or '0') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1],
  field('revision'), ARGV[3], field('after'), ARGV[2], field('latest'), ARGV[4],
  field(ARGV[4]), ARGV[3])
return 1
