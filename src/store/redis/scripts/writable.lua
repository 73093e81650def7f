#!lua
-- Writes nothing, but might: Redis refuses it for the reasons for which it refuses writes (memory,
-- disk, replicas that are missing, a primary that has become a replica).
--
-- KEYS  none
-- ARGV  none
-- Returns 1.
return 1
