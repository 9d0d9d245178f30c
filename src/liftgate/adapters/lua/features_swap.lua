-- Put feature states in the place of others, each only if what is there is what was read.
-- KEYS: states. ARGV: for each SHA-1 in hexadecimal of what was read (empty: nothing was), the new state (empty: none), milliseconds to live
-- Reply, for each: 1 replaced | 0 something else is there now
local replies = {}
for i, key in ipairs(KEYS) do
  local known, state, life = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local found = redis.pcall('GET', key)
  local is = ''
  if type(found) == 'string' then is = redis.sha1hex(found) elseif found then is = 'another type' end
  if is ~= known then
    replies[i] = 0
  else
    if state == '' then redis.call('DEL', key) else redis.call('SET', key, state, 'PX', life) end
    replies[i] = 1
  end
end
return replies
