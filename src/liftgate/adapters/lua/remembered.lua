-- What is remembered under a request key: a value 'L' <c8 fingerprint> <I4 length of the response> response <c16 reservation, hexadecimal>.
-- The decision's record lies under a key of its own until it is in a log, and is gone from then on. Two layouts from before that are still
-- read: 'L' without a reservation is logged, 'P' has the record where the reservation would be and is not.

-- Where a decision's record waits for its log; `key` is any of the person's: no tag has a } of its own.
local function record_of(key, reservation)
  return string.sub(key, 1, string.find(key, '}:', 1, true) + 1) .. 'q:' .. reservation
end

-- Return 4, {2, response} or {3, response, record}, and the reservation; nil: nothing is remembered. A value that cannot be read is never
-- a licence to decide again.
local function remembered(key, fingerprint)
  local value = redis.pcall('GET', key)
  if not value then return nil end
  if type(value) ~= 'string' or #value < 13 then return 4 end
  local state, known, length = struct.unpack('<c1c8I4', value)
  if known ~= fingerprint or #value < 13 + length then return 4 end
  local response = string.sub(value, 14, 13 + length)
  if state == 'P' then return {3, response, string.sub(value, 14 + length)} end
  if state ~= 'L' then return 4 end
  local reservation = string.sub(value, 14 + length)
  local record = #reservation == 16 and redis.pcall('GET', record_of(key, reservation))
  if type(record) == 'string' then return {3, response, record}, reservation end
  return {2, response}, reservation
end
