#!lua flags=allow-oom
-- Makes a tenant known. Also when memory is full: what frees it may come next.
--
-- KEYS  1 tenants
-- ARGV  1 tenant
-- Returns 1 when it was not known, 0 otherwise.
return redis.call('SADD', KEYS[1], ARGV[1])
