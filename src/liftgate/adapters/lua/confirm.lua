-- Their records are in a log: keep the answers, drop the records. KEYS: request keys. ARGV: a fingerprint for each.
-- `remembered.lua` stands before it. For records that another decision, or a worker of another version, left under these keys, and for
-- those that lie among others' who are not confirmed: an answer that does not say where its record is counts as logged.
for i = 1, #KEYS do
  local found, place = remembered(KEYS[i], ARGV[i])
  if type(found) == 'table' and found[1] == 3 then
    if place and #place == 16 then
      redis.call('DEL', record_of(KEYS[i], place))
    else
      local value = redis.call('GET', KEYS[i])
      redis.call('SET', KEYS[i], 'L' .. string.sub(value, 2, 13 + #found[2]), 'KEEPTTL')
    end
  end
end
return redis.status_reply('OK')
