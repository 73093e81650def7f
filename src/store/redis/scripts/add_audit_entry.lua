#!lua flags=allow-oom
-- Adds an audit entry as the latest, whatever its clock says, and removes those beyond the number
-- that is kept which were added first.
--
-- KEYS  1 entries of a scope, by their time in milliseconds
-- ARGV  1 time in milliseconds, 2 entry, 3 how many are kept
-- Returns how many there are.
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then
    local at = tonumber(ARGV[1])
    local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
    if latest and at <= tonumber(latest) then
        at = tonumber(latest) + 1
    end
    redis.call('ZADD', KEYS[1], string.format('%.0f', at), ARGV[2])
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -(tonumber(ARGV[3]) + 1))
end
return redis.call('ZCARD', KEYS[1])
