-- KEYS: version, then one hash for each change. ARGV: channel, then for each change: field, flags, before, after.
-- Flags: two bytes, '1' or '0': must something be stored before; is something to be stored after.
-- All changes are made, or none when a value is not what it was. Returns the new version, or 0.
local changes = #KEYS - 1
for i = 1, changes do
  local at = 4 * i - 2
  local stored = redis.call('HGET', KEYS[i + 1], ARGV[at])
  local wanted = string.sub(ARGV[at + 1], 1, 1) == '1'
  if (stored ~= false) ~= wanted or (wanted and stored ~= ARGV[at + 2]) then
    return 0
  end
end
for i = 1, changes do
  local at = 4 * i - 2
  if string.sub(ARGV[at + 1], 2, 2) == '1' then
    redis.call('HSET', KEYS[i + 1], ARGV[at], ARGV[at + 3])
  else
    redis.call('HDEL', KEYS[i + 1], ARGV[at])
  end
end
local version = redis.call('INCR', KEYS[1])
redis.call('PUBLISH', ARGV[1], version)
return version
