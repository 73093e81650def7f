#!lua flags=no-writes
-- Reads entries of a range of one rank of some partitions, in ascending order of scores, equals by
-- the bytes of their ids.
--
-- KEYS  the fence of each partition, then the rank of each
-- ARGV  1 generation, 2 least score ('(' before it excludes it), 3 greatest score,
--       4 score of the cursor ('' for none), 5 profile id of the cursor, 6 limit of each list,
--       7 how many entries of a partition to read at a time,
--       8 1 to answer one list of all partitions, 0 to answer one of each
-- Returns of each list { latest instant that was counted, in seconds, entries of the range,
--           entries of the range up to the cursor, { id, score, id, score, ... } }; the cursor
--           need not be an entry.
-- Generation 0 is that of a tenant without records.
-- Error SUPERSEDED when a partition does not maintain the generation, UNFENCED when one has no
-- fence, which means that its data is gone.
local maintained, least, greatest = ' ' .. ARGV[1] .. ' ', ARGV[2], ARGV[3]
local cursor_score, cursor_id, limit, piece = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local is_merged = ARGV[8] == '1'
local excluded = string.match(least, '^%((.*)')

-- By bytes, as Redis orders the members; Lua's own comparison follows the locale.
local function is_after(id, other)
  local length, from = math.min(#id, #other), 1
  -- Ids often begin alike; those parts are soon passed over.
  while from + 15 <= length and string.sub(id, from, from + 15) == string.sub(other, from, from + 15) do
    from = from + 16
  end
  for index = from, length do
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

-- What a rank has of the range: how many entries, how many of them up to the cursor, and where
-- those after it are.
local function find(rank)
  local total = redis.call('ZCOUNT', rank, least, greatest)
  if total == 0 then
    return 0, 0
  end
  local start = excluded and redis.call('ZCOUNT', rank, '-inf', excluded) or 0
  local position = start
  if cursor_score ~= '' then
    position = math.max(start, math.min(up_to_cursor(rank), start + total))
  end
  local last = start + total - 1
  return total, position - start, { rank = rank, position = position, last = last, entries = {}, index = 1 }
end

-- Goes to the next entry of a rank; false at its end.
local function advance(part)
  if part.index > #part.entries then
    if part.position > part.last then
      return false
    end
    local to = math.min(part.position + piece - 1, part.last)
    part.entries = redis.call('ZRANGE', part.rank, part.position, to, 'WITHSCORES')
    part.position, part.index = to + 1, 1
  end
  part.id, part.text = part.entries[part.index], part.entries[part.index + 1]
  part.score = tonumber(part.text)
  part.index = part.index + 2
  return true
end

-- The ranks with an entry to take, the least entry first.
local heads = {}
local function keep(part)
  local low, high = 1, #heads + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local other = heads[middle]
    if part.score > other.score or (part.score == other.score and is_after(part.id, other.id)) then
      low = middle + 1
    else
      high = middle
    end
  end
  table.insert(heads, low, part)
end

-- Takes entries of the ranks that are kept, up to the limit.
local function merge()
  local entries = {}
  while #entries < 2 * limit and heads[1] do
    local part = table.remove(heads, 1)
    entries[#entries + 1] = part.id
    entries[#entries + 1] = part.text
    if advance(part) then
      keep(part)
    end
  end
  return entries
end

local partitions = #KEYS / 2
local fences = redis.call('MGET', unpack(KEYS, 1, partitions))
local lists, latest, total, preceding = {}, 0, 0, 0
for number = 1, partitions do
  local fence = fences[number]
  local own_latest, own, own_preceding, part = 0, 0, 0, nil
  if fence then
    if not string.find(fence .. ' ', maintained, 1, true) then
      return redis.error_reply('SUPERSEDED generation')
    end
    own_latest = tonumber(string.match(fence, ' @(%d+)$') or '0')
    own, own_preceding, part = find(KEYS[partitions + number])
  elseif ARGV[1] ~= '0' then
    return redis.error_reply('UNFENCED partition')
  end
  if is_merged then
    latest, total, preceding = math.max(latest, own_latest), total + own, preceding + own_preceding
    if part and advance(part) then
      keep(part)
    end
  else
    local last = part and math.min(part.position + limit - 1, part.last) or 0
    local entries = {}
    if part and last >= part.position then
      entries = redis.call('ZRANGE', part.rank, part.position, last, 'WITHSCORES')
    end
    lists[number] = { own_latest, own, own_preceding, entries }
  end
end
if is_merged then
  lists[1] = { latest, total, preceding, merge() }
end
return lists
