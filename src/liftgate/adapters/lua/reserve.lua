-- Make claims in order, each atomically over all its caps and its request_id.
-- KEYS: for each claim its history key, then its request key if it has one.
-- ARGV: for each claim its header, then the value to remember if it has a request key:
--   header  <c8 fingerprint> <c8 reservation> <d now_ms> <d horizon_ms> <B has a request key> <I2 caps watched>,
--           then for each watched cap <c8 cap> <d most>, then for each charge <c8 cap> <d limit> <d live_until_ms> <d until_ms>
--   value   'P' <c8 fingerprint> <I4 length of the response> response record
-- Reply, for each claim: 0 made | {1, charge or -1 for a watched cap, history} | {2, response} | {3, response, record} | 4 mismatch
local HEADER, WATCHED, CHARGE, ENTRY, MEMORY = '<c8c8ddBI2', '<c8d', '<c8ddd', '<c8c8dd', '<c1c8I4'
local MAX_ENTRIES = 512
local MAX_LIFE_MS = 315360000000

-- What is remembered under a request key, or nil. A value that cannot be read is never a licence to decide again.
local function remembered(key, fingerprint)
  local value = redis.pcall('GET', key)
  if not value then return nil end
  if type(value) ~= 'string' or #value < 13 then return 4 end
  local state, known, length = struct.unpack(MEMORY, value)
  if known ~= fingerprint or #value < 13 + length then return 4 end
  local response = string.sub(value, 14, 13 + length)
  if state == 'L' then return {2, response} end
  if state == 'P' then return {3, response, string.sub(value, 14 + length)} end
  return 4
end

-- Live entries as one string, how many there are, how many each cap has, and when the last of them ends for good.
local function live(raw, now)
  local kept, n, counts, last = {}, 0, {}, now
  for at = 1, #raw, 32 do
    local cap, _, live_until, ends = struct.unpack(ENTRY, raw, at)
    if live_until > now then
      n = n + 1
      kept[n] = string.sub(raw, at, at + 31)
      counts[cap] = (counts[cap] or 0) + 1
      if ends > last then last = ends end
    end
  end
  return kept, n, counts, last
end

local replies, key, arg = {}, 1, 1
for claim = 1, tonumber(ARGV[#ARGV]) do
  local header, history_key = ARGV[arg], KEYS[key]
  local fingerprint, reservation, now, horizon, idempotent, watched, at = struct.unpack(HEADER, header)
  local request_key, value
  arg, key = arg + 1, key + 1
  if idempotent == 1 then
    request_key, value = KEYS[key], ARGV[arg]
    arg, key = arg + 1, key + 1
  end

  local outcome = request_key and remembered(request_key, fingerprint)
  if not outcome and at <= #header then
    local raw = redis.pcall('GET', history_key)
    if not raw then raw = '' end
    if type(raw) ~= 'string' then
      outcome = {1, 0, '?'} -- another type of value: damaged
    elseif #raw % 32 ~= 0 then
      outcome = {1, 0, raw} -- damaged: every cap counts as used up
    else
      local kept, n, counts, last = live(raw, now)
      local before, charge = n, 0
      for _ = 1, watched do
        local cap, most
        cap, most, at = struct.unpack(WATCHED, header, at)
        if (counts[cap] or 0) > most then
          outcome = {1, -1, table.concat(kept)}
          break
        end
      end
      while not outcome and at <= #header do
        local cap, limit, live_until, ends
        cap, limit, live_until, ends, at = struct.unpack(CHARGE, header, at)
        local used = counts[cap] or 0
        if used >= limit or n >= MAX_ENTRIES then
          outcome = {1, charge, table.concat(kept, '', 1, before)}
          break
        end
        n, charge = n + 1, charge + 1
        counts[cap] = used + 1
        kept[n] = struct.pack(ENTRY, cap, reservation, live_until, ends)
        if ends > last then last = ends end
      end
      if not outcome and charge > 0 then
        -- Relative, so that neither a skewed clock nor a replayed one makes keys vanish or stay.
        local life = math.min(math.max(math.ceil(last - now), 1), MAX_LIFE_MS)
        redis.call('SET', history_key, table.concat(kept), 'PX', string.format('%.0f', life))
      end
    end
  end
  if not outcome then
    if request_key then redis.call('SET', request_key, value, 'PX', string.format('%.0f', horizon)) end
    outcome = 0
  end
  replies[claim] = outcome
end
return replies
