#!lua flags=no-writes
-- Counts the entries of ranges of ranks of some partitions, those of one partition at one moment.
--
-- KEYS  of each partition: fence, then the rank of each range
-- ARGV  1 generation, then for each range: least score ('(' before it excludes it), greatest score
-- Returns the latest instant that was counted, in seconds, then the count of each range.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when a partition does not maintain the generation, UNFENCED when one has no
-- fence, which means that its data is gone.
local maintained, ranges = ' ' .. ARGV[1] .. ' ', (#ARGV - 1) / 2
local latest, answer = 0, {}
for range = 1, ranges do
  answer[range + 1] = 0
end
for key = 1, #KEYS, 1 + ranges do
  local fence = redis.call('GET', KEYS[key])
  if fence then
    if not string.find(fence .. ' ', maintained, 1, true) then
      return redis.error_reply('SUPERSEDED generation')
    end
    latest = math.max(latest, tonumber(string.match(fence, ' @(%d+)$') or '0'))
    for range = 1, ranges do
      local count = redis.call('ZCOUNT', KEYS[key + range], ARGV[2 * range], ARGV[2 * range + 1])
      answer[range + 1] = answer[range + 1] + count
    end
  elseif ARGV[1] ~= '0' then
    return redis.error_reply('UNFENCED partition')
  end
end
answer[1] = latest
return answer
