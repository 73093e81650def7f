#!lua flags=no-writes
-- Counts the entries of ranges of ranks of some partitions, those of one partition at one moment.
--
-- KEYS  the fence of each partition, then of each its ranks
-- ARGV  1 generation, 2 number of partitions, then for each range: place of its rank among the ranks
--       (from 1), least score ('(' before it excludes it), greatest score
-- Returns the latest instant that was counted, in seconds, then the count of each range.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when a partition does not maintain the generation, UNFENCED when one has no
-- fence, which means that its data is gone.
local maintained, partitions = ' ' .. ARGV[1] .. ' ', tonumber(ARGV[2])
local ranks, ranges = #KEYS / partitions - 1, (#ARGV - 2) / 3
local latest, answer = 0, {}
for range = 1, ranges do
  answer[range + 1] = 0
end
local fences = redis.call('MGET', unpack(KEYS, 1, partitions))
for number = 1, partitions do
  local fence = fences[number]
  if fence then
    if not string.find(fence .. ' ', maintained, 1, true) then
      return redis.error_reply('SUPERSEDED generation')
    end
    latest = math.max(latest, tonumber(string.match(fence, ' @(%d+)$') or '0'))
    local before = partitions + (number - 1) * ranks
    for range = 1, ranges do
      local rank = KEYS[before + tonumber(ARGV[3 * range])]
      local count = redis.call('ZCOUNT', rank, ARGV[3 * range + 1], ARGV[3 * range + 2])
      answer[range + 1] = answer[range + 1] + count
    end
  elseif ARGV[1] ~= '0' then
    return redis.error_reply('UNFENCED partition')
  end
end
answer[1] = latest
return answer
