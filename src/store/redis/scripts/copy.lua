#!lua flags=no-writes
-- Reads records of one partition with their places in ranks, at one moment, so that they are copied.
--
-- KEYS  1 written, then the record of each profile, then the ranks
-- ARGV  1 number of profiles, 2 bytes that are enough, then the profile ids
-- Returns { records, versions of their last writes that are still to be copied, scores in the first
--         rank, scores in the second, ... }, each in the order of the profiles, with nothing where
--         there is none: of all profiles, or of the first ones whose records come to enough bytes.
local count, enough = tonumber(ARGV[1]), tonumber(ARGV[2])
local ids, records, bytes = {}, {}, 0
for number = 1, count do
  local record = redis.call('GET', KEYS[1 + number])
  ids[number], records[number] = ARGV[2 + number], record
  bytes = bytes + (record and #record or 0)
  if bytes >= enough then
    break
  end
end
local answer = { records, redis.call('HMGET', KEYS[1], unpack(ids)) }
for rank = 2 + count, #KEYS do
  answer[#answer + 1] = redis.call('ZMSCORE', KEYS[rank], unpack(ids))
end
return answer
