#!lua
-- Completes one partition that was filled with copies: from now on it takes commits.
--
-- KEYS  1 fence, 2 totals
-- ARGV  1 epoch of the copying, 2 fence of the epoch in which it answers, then for each total: field,
--       number
-- Returns 1.
-- Error SUPERSEDED when the partition is not filled by that copying, or not any more.
local seen = redis.call('GET', KEYS[1])
if seen ~= ARGV[2] then
  if string.match(seen or '', '^(%d+)#') ~= ARGV[1] then
    return redis.error_reply('SUPERSEDED copying')
  end
  redis.call('UNLINK', KEYS[2])
  for field = 3, #ARGV, 2 do
    redis.call('HSET', KEYS[2], ARGV[field], ARGV[field + 1])
  end
end
-- Also when nothing changes, so that a WAIT on this connection waits for the first time.
redis.call('SET', KEYS[1], ARGV[2])
return 1
