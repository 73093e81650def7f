#!lua
-- Writes copies of records into one partition that is filled with them.
--
-- KEYS  1 fence, 2 ids, then the record of each copy, then the ranks
-- ARGV  1 epoch of the copying, 2 number of the batch, the greater the later, 3 number of copies, then
--       for each: profile id, record ('' when there is none any more),
--       number of places, then for each: place of the rank among the ranks (from 1), score
-- Returns 1.
-- Error SUPERSEDED when the partition is not filled by that copying, or not any more.
--
-- Sent twice it changes nothing more, also when a later batch has come between.
local epoch, last = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+)#(%d*)')
if epoch ~= ARGV[1] then
  return redis.error_reply('SUPERSEDED copying')
end
local batch, count = tonumber(ARGV[2]), tonumber(ARGV[3])
if batch <= (tonumber(last) or 0) then
  -- A write that changes nothing, so that a WAIT on this connection waits for the first one.
  redis.call('SET', KEYS[1], epoch .. '#' .. last)
  return 1
end

local ranks = 2 + count
local at = 4
for number = 1, count do
  local record, id, value = KEYS[2 + number], ARGV[at], ARGV[at + 1]
  local places = at + 3
  at = places + 2 * tonumber(ARGV[at + 2])
  local stored = redis.call('GETRANGE', record, 0, 7)
  if stored ~= string.sub(value, 1, 8) then
    if stored ~= '' then
      for rank = ranks + 1, #KEYS do
        redis.call('ZREM', KEYS[rank], id)
      end
    end
    if value == '' then
      redis.call('ZREM', KEYS[2], id)
      redis.call('UNLINK', record)
    else
      for place = places, at - 1, 2 do
        redis.call('ZADD', KEYS[ranks + tonumber(ARGV[place])], ARGV[place + 1], id)
      end
      redis.call('ZADD', KEYS[2], 0, id)
      redis.call('SET', record, value)
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. '#' .. ARGV[2])
return 1
