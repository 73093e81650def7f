#!lua
-- Adds records of one partition to ranks, unless they were written since they were read.
--
-- KEYS  1 fence, then the record of each entry, then the ranks
-- ARGV  1 generation, 2 number of entries, then for each entry: version, profile id,
--       number of places, then for each: place of the rank among the ranks (from 1), score
-- Returns 1.
-- Error SUPERSEDED when the partition does not maintain the generation: its ranks may be deleted
-- already; UNFENCED when it has no fence, which means that its data is gone.
local fence, count = redis.call('GET', KEYS[1]), tonumber(ARGV[2])
if not fence then
  return redis.error_reply('UNFENCED partition')
end
if not string.find(fence .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then
  return redis.error_reply('SUPERSEDED generation')
end
local ranks = 1 + count
local at = 3
for number = 1, count do
  local version, id = ARGV[at], ARGV[at + 1]
  local places = at + 3
  at = places + 2 * tonumber(ARGV[at + 2])
  if redis.call('GETRANGE', KEYS[1 + number], 0, 7) == version then
    for place = places, at - 1, 2 do
      redis.call('ZADD', KEYS[ranks + tonumber(ARGV[place])], ARGV[place + 1], id)
    end
  end
end
return 1
