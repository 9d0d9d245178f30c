-- Their records are in a log: keep the answers, drop the records. KEYS: request keys. ARGV: a fingerprint for each.
-- `remembered.lua` stands before it. For records that another decision, or a worker of another version, left under these keys.
for i = 1, #KEYS do
  local found, reservation = remembered(KEYS[i], ARGV[i])
  if type(found) == 'table' and found[1] == 3 then
    if reservation then
      redis.call('DEL', record_of(KEYS[i], reservation))
    else
      local value = redis.call('GET', KEYS[i])
      redis.call('SET', KEYS[i], 'L' .. string.sub(value, 2, 13 + #found[2]), 'KEEPTTL')
    end
  end
end
return redis.status_reply('OK')
