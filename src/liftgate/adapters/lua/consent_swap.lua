-- Store a consent document if what is stored is still what the change was made from. KEYS: consent. ARGV: '1' or '0': something must be
-- stored; what; the document instead. Reply: 1 stored | 0 something else is stored, a value that is no string included.
local stored = redis.pcall('GET', KEYS[1])
if ARGV[1] == '1' then
  if stored ~= ARGV[2] then return 0 end
elseif stored then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3])
return 1
