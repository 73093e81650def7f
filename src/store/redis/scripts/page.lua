#!lua flags=no-writes
-- Reads entries of a range of one rank of some partitions, each in ascending order of scores,
-- equals by the bytes of their ids.
--
-- KEYS  of each partition: fence, rank
-- ARGV  1 generation, 2 least score ('(' before it excludes it), 3 greatest score,
--       4 score of the cursor ('' for none), 5 profile id of the cursor, 6 limit of each partition
-- Returns of each partition { latest instant that was counted, in seconds, entries of the range,
--           entries of the range up to the cursor, { id, score, id, score, ... } }; the cursor
--           need not be an entry.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when a partition does not maintain the generation, UNFENCED when one has no
-- fence, which means that its data is gone.
local maintained, least, greatest = ' ' .. ARGV[1] .. ' ', ARGV[2], ARGV[3]
local cursor_score, cursor_id, limit = ARGV[4], ARGV[5], tonumber(ARGV[6])
local excluded = string.match(least, '^%((.*)')

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

-- How many entries of the rank stand up to the cursor.
local function up_to_cursor(rank)
  local low = redis.call('ZCOUNT', rank, '-inf', '(' .. cursor_score)
  local high = low + redis.call('ZCOUNT', rank, cursor_score, cursor_score)
  if low == high then
    return low
  end
  -- Among those that have its score.
  local own = redis.call('ZRANK', rank, cursor_id)
  if own and own >= low and own < high then
    return own + 1
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_after(redis.call('ZRANGE', rank, middle, middle)[1], cursor_id) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local function read(latest, rank)
  local total = redis.call('ZCOUNT', rank, least, greatest)
  if total == 0 then
    return { latest, 0, 0, {} }
  end
  local start = excluded and redis.call('ZCOUNT', rank, '-inf', excluded) or 0
  local position = start
  if cursor_score ~= '' then
    position = math.max(start, math.min(up_to_cursor(rank), start + total))
  end
  local preceding = position - start
  local count = math.min(limit, total - preceding)
  if count <= 0 then
    return { latest, total, preceding, {} }
  end
  local last = position + count - 1
  return { latest, total, preceding, redis.call('ZRANGE', rank, position, last, 'WITHSCORES') }
end

local parts = {}
for key = 1, #KEYS, 2 do
  local fence = redis.call('GET', KEYS[key])
  if fence then
    if not string.find(fence .. ' ', maintained, 1, true) then
      return redis.error_reply('SUPERSEDED generation')
    end
    local latest = tonumber(string.match(fence, ' @(%d+)$') or '0')
    parts[#parts + 1] = read(latest, KEYS[key + 1])
  elseif ARGV[1] == '0' then
    parts[#parts + 1] = { 0, 0, 0, {} }
  else
    return redis.error_reply('UNFENCED partition')
  end
end
return parts
