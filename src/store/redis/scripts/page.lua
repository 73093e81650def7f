#!lua flags=no-writes
-- Reads entries of a range of one rank of one partition, in ascending order of scores, equals
-- by the bytes of their ids.
--
-- KEYS  1 fence, 2 rank
-- ARGV  1 generation, 2 least score ('(' before it excludes it), 3 greatest score,
--       4 score of the cursor ('' for none), 5 profile id of the cursor, 6 limit
-- Returns { latest instant that was counted, in seconds, entries of the range, entries of the range
--           up to the cursor, { id, score, id, score, ... } }; the cursor need not be an entry.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when the partition does not maintain the generation, UNFENCED when it has no
-- fence, which means that its data is gone.
local fence = redis.call('GET', KEYS[1])
local latest = tonumber(string.match(fence or '', ' @(%d+)$') or '0')
if not fence then
  if ARGV[1] == '0' then
    return { latest, 0, 0, {} }
  end
  return redis.error_reply('UNFENCED partition')
end
if not string.find(fence .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then
  return redis.error_reply('SUPERSEDED generation')
end

local rank, least, greatest = KEYS[2], ARGV[2], ARGV[3]
local total = redis.call('ZCOUNT', rank, least, greatest)
if total == 0 then
  return { latest, 0, 0, {} }
end
local start = 0
if string.sub(least, 1, 1) == '(' then
  start = redis.call('ZCOUNT', rank, '-inf', string.sub(least, 2))
end

-- By bytes, as Redis orders the members; Lua's own comparison follows the locale.
local function is_after(id, other)
  local length = math.min(#id, #other)
  for index = 1, length do
    local byte, other_byte = string.byte(id, index), string.byte(other, index)
    if byte ~= other_byte then
      return byte > other_byte
    end
  end
  return #id > #other
end

local position = start
if ARGV[4] ~= '' then
  -- The position after the cursor, among those that have its score.
  local low = redis.call('ZCOUNT', rank, '-inf', '(' .. ARGV[4])
  local high = redis.call('ZCOUNT', rank, '-inf', ARGV[4])
  local own = redis.call('ZRANK', rank, ARGV[5])
  if own and own >= low and own < high then
    low, high = own + 1, own + 1
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_after(redis.call('ZRANGE', rank, middle, middle)[1], ARGV[5]) then
      high = middle
    else
      low = middle + 1
    end
  end
  position = math.max(start, math.min(low, start + total))
end

local preceding = position - start
local count = math.min(tonumber(ARGV[6]), total - preceding)
if count <= 0 then
  return { latest, total, preceding, {} }
end
return { latest, total, preceding, redis.call('ZRANGE', rank, position, position + count - 1, 'WITHSCORES') }
