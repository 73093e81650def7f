#!lua flags=allow-oom
-- Puts a rollout in the place of the one that it was made from.
--
-- KEYS  1 rollout
-- ARGV  1 epoch of the rollout that it was made from, 2 rollout (JSON)
-- Returns 1 when the given one is stored now, or was already; 0 otherwise.
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then
  return 1
end
local epoch = 0
if stored then
  epoch = cjson.decode(stored).epoch
end
if epoch ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
