-- Their records are in a log: keep the answers, drop the records. KEYS: request keys. ARGV: a fingerprint for each.
for i = 1, #KEYS do
  local value = redis.pcall('GET', KEYS[i])
  if type(value) == 'string' and #value >= 13 then
    local state, known, length = struct.unpack('<c1c8I4', value)
    if state == 'P' and known == ARGV[i] and #value >= 13 + length then
      redis.call('SET', KEYS[i], 'L' .. string.sub(value, 2, 13 + length), 'KEEPTTL')
    end
  end
end
return redis.status_reply('OK')
