#!lua flags=allow-oom
-- Raises the fence of one partition; it never falls.
--
-- KEYS  1 fence, 2 the note of the store, where one server has both
-- ARGV  1 epoch, 2 epoch before it, 3 fence of that epoch, 4 whether it may be the first: 1 or 0,
--       5 identity of the store
-- Returns 1.
-- Error SUPERSEDED when the partition has seen a later epoch, or one that is not among those
-- before this one; UNFENCED when it has none where it should, which means that its data is gone.
local fence, seen = ARGV[3], redis.call('GET', KEYS[1])
-- A first fence that comes late must not have the commits of others find one in an emptied database.
local is_gone = KEYS[2] and redis.call('HGET', KEYS[2], 'identity') ~= ARGV[5]
if not seen and (ARGV[4] ~= '1' or is_gone) then
  return redis.error_reply('UNFENCED partition')
end
-- The latest instant that was counted stays.
local latest = string.match(seen or '', ' @%d+$') or ''
-- One of copies goes on with the number of the last batch.
local is_of_copies = string.sub(fence, -1) == '#'
if seen == fence .. latest or (is_of_copies and string.sub(seen or '', 1, #fence) == fence) then
  return 1
end
local last, epoch = tonumber(string.match(seen or '0', '^%d+')), tonumber(ARGV[1])
local maintains = string.find(fence, ' ', 1, true)
if last > epoch or (maintains and last ~= epoch and last > tonumber(ARGV[2])) then
  return redis.error_reply('SUPERSEDED by another epoch')
end
redis.call('SET', KEYS[1], fence .. latest)
return 1
