#!lua flags=no-writes
-- Counts the entries of ranges of ranks of one partition, all at one moment.
--
-- KEYS  1 fence, then the rank of each range
-- ARGV  1 generation, then for each range: least score ('(' before it excludes it), greatest score
-- Returns the latest instant that was counted, in seconds, then the count of each range.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when the partition does not maintain the generation, UNFENCED when it has no
-- fence, which means that its data is gone.
local fence = redis.call('GET', KEYS[1])
local answer = { tonumber(string.match(fence or '', ' @(%d+)$') or '0') }
if not fence then
  if ARGV[1] ~= '0' then
    return redis.error_reply('UNFENCED partition')
  end
  for range = 1, #KEYS - 1 do
    answer[range + 1] = 0
  end
  return answer
end
if not string.find(fence .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then
  return redis.error_reply('SUPERSEDED generation')
end
for range = 1, #KEYS - 1 do
  answer[range + 1] = redis.call('ZCOUNT', KEYS[range + 1], ARGV[2 * range], ARGV[2 * range + 1])
end
return answer
