#!lua flags=allow-oom
-- Deletes models that are not needed and that nobody has saved for long.
--
-- KEYS  1 texts
-- ARGV  1 for how many seconds, then the fingerprints of those that are needed
-- Returns how many are left that are not needed.
local needed = {}
for index = 2, #ARGV do
  needed[ARGV[index]] = true
end
local now, left = tonumber(redis.call('TIME')[1]), 0
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local model = string.match(name, '^(%x+):saved$')
  if model and not needed[model] then
    if now - tonumber(redis.call('HGET', KEYS[1], name)) >= tonumber(ARGV[1]) then
      redis.call('HDEL', KEYS[1], name, model .. ':source', model .. ':ranks')
    else
      left = left + 1
    end
  end
end
return left
