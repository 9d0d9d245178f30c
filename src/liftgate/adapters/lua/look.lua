-- What is remembered of requests. KEYS: request keys. ARGV: a fingerprint for each. `remembered.lua` stands before it.
-- Reply, for each: 0 nothing | {2, response} | {3, response, record} | 4 mismatch
local replies = {}
for i = 1, #KEYS do replies[i] = remembered(KEYS[i], ARGV[i]) or 0 end
return replies
