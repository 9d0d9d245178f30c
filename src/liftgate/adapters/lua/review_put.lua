-- KEYS: queue (ZSET of ids by end), then one key for each decision. ARGV: now_ms, ttl_ms, limit, then id and value for each.
-- Puts in what does not wait already and still fits. Returns how many did not fit.
local now, ttl, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local left_out = 0
for i = 2, #KEYS do
  local id, value = ARGV[2 * i], ARGV[2 * i + 1]
  if redis.call('EXISTS', KEYS[i]) == 0 then
    if redis.call('ZCARD', KEYS[1]) >= limit then
      left_out = left_out + 1
    else
      redis.call('SET', KEYS[i], value, 'PX', ttl)
      redis.call('ZADD', KEYS[1], now + ttl, id)
    end
  end
end
redis.call('PEXPIRE', KEYS[1], ttl)
return left_out
