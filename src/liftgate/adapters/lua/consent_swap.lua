-- Store a consent document, and what changed, if what is stored is still what the change was made from. KEYS: consent, history (LIST),
-- and what is removed with the change, if anything is.
-- ARGV: '1' or '0': something must be stored; what; the document instead; the history's new entry, '' for none; its last entry, '' for
-- none; most entries kept. Reply: 1 stored | 0 something else is stored, values of other types included.
local stored = redis.pcall('GET', KEYS[1])
if ARGV[1] == '1' then
  if stored ~= ARGV[2] then return 0 end
elseif stored then
  return 0
end
if ARGV[4] ~= '' then
  if (redis.pcall('LINDEX', KEYS[2], -1) or '') ~= ARGV[5] then return 0 end
  redis.call('RPUSH', KEYS[2], ARGV[4])
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[6]), -1)
end
if KEYS[3] then redis.call('UNLINK', KEYS[3]) end
redis.call('SET', KEYS[1], ARGV[3])
return 1
