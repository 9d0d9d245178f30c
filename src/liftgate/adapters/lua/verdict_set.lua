-- KEYS: a person's verdicts. ARGV: what must be stored now (empty: nothing), what to store, milliseconds until it ends.
-- Returns 1, or 0 when something else is stored.
local stored = redis.call('GET', KEYS[1]) or ''
if stored ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
