-- Put right what a claim left behind. KEYS: its history key, then its request key if it has one.
-- ARGV: <c8 reservation> <d horizon_ms>, what the claim would have begun the request key's value with, what to remember instead.
-- Reply: 1 amended | 0 left alone: confirmed, or somebody else's.
local reservation, horizon = struct.unpack('<c8d', ARGV[1])
local claimed, instead = ARGV[2], ARGV[3]
if KEYS[2] then
  local value = redis.pcall('GET', KEYS[2])
  if value then
    if type(value) ~= 'string' or string.sub(value, 1, #claimed) ~= claimed then return 0 end
  end
  if #instead > 0 then
    redis.call('SET', KEYS[2], instead, 'PX', string.format('%.0f', horizon))
  elseif value then
    redis.call('DEL', KEYS[2])
  end
end
local raw = redis.pcall('GET', KEYS[1])
if type(raw) == 'string' and #raw % 32 == 0 then
  local kept = {}
  for at = 1, #raw, 32 do
    if string.sub(raw, at + 8, at + 15) ~= reservation then kept[#kept + 1] = string.sub(raw, at, at + 31) end
  end
  if #kept * 32 < #raw then
    if #kept == 0 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], table.concat(kept), 'KEEPTTL') end
  end
end
return 1
