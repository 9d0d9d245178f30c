-- Put right what a claim left behind. KEYS: its history key, then its request key if it has one, its account's history if it names one,
-- and the total counters that it may have charged; of somebody partly held out the same again for what is withheld: the ghost history,
-- the account's ghost history if it names one, and the ghost counters.
-- ARGV: <c8 reservation> <d horizon_ms> <B flags>, what the claim would have put under the request key (`remembered.lua` stands before
-- this), what to remember instead, and for each total counter <c8 receipt>; of somebody partly held out, for each ghost counter <c8 receipt>.
-- flags: 1 has a request key | 2 names an account | 4 its answer stands, and so do its charges | 8 of somebody partly held out
--        16 its record lies among others', and goes with them
-- Reply: 1 amended | 0 left alone: confirmed, or somebody else's.
local reservation, horizon, flags = struct.unpack('<c8dB', ARGV[1])
local claimed, instead = ARGV[2], ARGV[3]
local key = 2
if flags % 2 == 1 then
  local alone = flags % 32 < 16
  local record = alone and record_of(KEYS[key], string.sub(claimed, -16)) or records_of(string.sub(claimed, -24))
  local value = redis.pcall('GET', KEYS[key])
  -- Without its record the claim is in a log.
  local mine = not value or value == claimed and redis.call('EXISTS', record) == 1
  if alone and (value ~= claimed or mine) then redis.call('DEL', record) end
  if not mine then return 0 end
  if #instead > 0 then
    redis.call('SET', KEYS[key], instead, 'PX', string.format('%.0f', horizon))
  elseif value then
    redis.call('DEL', KEYS[key])
  end
  key = key + 1
end
if flags % 8 >= 4 then return 1 end

-- Take the claim's entries out of a history; return them.
local function without(history_key)
  local raw, kept, gone = redis.pcall('GET', history_key), {}, {}
  if type(raw) ~= 'string' or #raw % 32 ~= 0 then return gone end
  for at = 1, #raw, 32 do
    local entry = string.sub(raw, at, at + 31)
    if string.sub(entry, 9, 16) == reservation then gone[#gone + 1] = entry else kept[#kept + 1] = entry end
  end
  if #gone > 0 then
    if #kept == 0 then redis.call('DEL', history_key) else redis.call('SET', history_key, table.concat(kept), 'KEEPTTL') end
  end
  return gone
end

local function give_back(history_key, receipts)
  local gone = without(history_key)
  if flags % 4 >= 2 then
    without(KEYS[key])
    key = key + 1
  end
  for at = 1, #receipts, 8 do
    local receipt, total_key = string.sub(receipts, at, at + 7), KEYS[key]
    key = key + 1
    for _, entry in ipairs(gone) do
      if string.sub(entry, 1, 8) == receipt then
        local raw, bucket, changed = redis.pcall('GET', total_key), string.sub(entry, 25, 32), {}
        if type(raw) == 'string' and #raw % 16 == 0 then
          for from = 1, #raw, 16 do
            local ends, count = string.sub(raw, from, from + 7), struct.unpack('<d', raw, from + 8)
            if ends == bucket then count = count - 1 end
            if count > 0 then changed[#changed + 1] = ends .. struct.pack('<d', count) end
          end
          if #changed == 0 then redis.call('DEL', total_key) else redis.call('SET', total_key, table.concat(changed), 'KEEPTTL') end
        end
      end
    end
  end
end

give_back(KEYS[1], ARGV[4])
if flags % 16 >= 8 then
  key = key + 1
  give_back(KEYS[key - 1], ARGV[5])
end
return 1
