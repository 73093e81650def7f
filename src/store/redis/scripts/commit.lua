#!lua
-- Writes records of one partition together with their places in the ranks.
--
-- KEYS  1 fence, 2 ids, 3 totals, then one record for each commit, then the ranks, at the end
--       written, when that is kept
-- ARGV  1 epoch, 2 epoch before it, 3 fence of that epoch, 4 whether it is kept what was written:
--       1 or 0, 5 number of commits, then for each:
--       expected version ('' for none), new version, value ('' drops the record), profile id,
--       latest instant that the record counted (in seconds),
--       number of rank changes, then for each: place of the rank among the ranks (from 1),
--       score ('' removes the profile);
--       number of totals, then for each: field, added
-- Returns for each commit 1 (written, now or before) or 0 (conflict).
-- Error SUPERSEDED when the partition has seen a later epoch, or one that is not among those
-- before this one; UNFENCED when it has no fence, which means that its data is gone. Then
-- nothing is written.
--
-- Sent twice it changes nothing more: a record that bears the new version is written already.
local fence, count = ARGV[3], tonumber(ARGV[5])
local written = ARGV[4] == '1' and KEYS[#KEYS]
local seen = redis.call('GET', KEYS[1])
if not seen then
  return redis.error_reply('UNFENCED partition')
end
local latest, mark = 0, string.find(seen, ' @', 1, true)
if mark then
  latest, seen = tonumber(string.sub(seen, mark + 2)), string.sub(seen, 1, mark - 1)
end
local function keep(instant)
  redis.call('SET', KEYS[1], fence .. ' @' .. instant)
end
if seen ~= fence then
  local last, epoch = tonumber(string.match(seen, '^%d+')), tonumber(ARGV[1])
  local maintains = string.find(fence, ' ', 1, true)
  if last > epoch or (maintains and last ~= epoch and last > tonumber(ARGV[2])) then
    return redis.error_reply('SUPERSEDED by another epoch')
  end
  keep(latest)
end

local ranks = 3 + count
local results = {}
local at = 6
for number = 1, count do
  local record = KEYS[3 + number]
  local expected, version, value, id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local at_instant, changes = at + 4, at + 6
  local totals = changes + 2 * tonumber(ARGV[at + 5])
  at = totals + 1 + 2 * tonumber(ARGV[totals])

  local stored = redis.call('GETRANGE', record, 0, 7)
  local dropped = value == ''
  if stored == version or (dropped and stored == '') then
    -- A write that changes nothing, so that a WAIT on this connection waits for the first one.
    keep(latest)
    results[number] = 1
  elseif stored ~= expected then
    results[number] = 0
  else
    -- Before anything that can fail: a list must not be answered for before something that was
    -- written, while too late an instant harms nobody.
    local instant = tonumber(ARGV[at_instant])
    if instant > latest then
      latest = instant
      keep(latest)
    end
    if written then
      redis.call('HSET', written, id, version)
    end
    -- What can fail goes first: a total that would overflow.
    for field = totals + 1, at - 1, 2 do
      redis.call('HINCRBY', KEYS[3], ARGV[field], ARGV[field + 1])
    end
    for change = changes, totals - 1, 2 do
      local rank, score = KEYS[ranks + tonumber(ARGV[change])], ARGV[change + 1]
      if score == '' then
        redis.call('ZREM', rank, id)
      else
        redis.call('ZADD', rank, score, id)
      end
    end
    if dropped then
      redis.call('ZREM', KEYS[2], id)
      redis.call('UNLINK', record)
    else
      if stored == '' then
        redis.call('ZADD', KEYS[2], 0, id)
      end
      redis.call('SET', record, value)
    end
    results[number] = 1
  end
end
return results
