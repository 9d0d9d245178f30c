-- What is remembered under a request key: a value 'L' <c8 fingerprint> <I4 length of the response> response, then where the decision's record
-- is until it is in a log, and gone from then on: <c16 reservation, hexadecimal> under a key of its own, or
-- <c16 name> <I4 from, counted from 0> <I4 bytes> among those of others, under a key of theirs.
-- Two layouts from before that are still read: 'L' and no more is logged, 'P' has the record itself there and is not.

-- Where a decision's record waits for its log; `key` is any of the person's: no tag has a } of its own.
local function record_of(key, reservation)
  return string.sub(key, 1, string.find(key, '}:', 1, true) + 1) .. 'q:' .. reservation
end

-- Where the records of several wait.
local function records_of(place)
  return 'lg:{%q:' .. string.sub(place, 1, 16) .. '}'
end

-- Return the record that waits at a place; nil: none does.
local function record_at(key, place)
  local record
  if #place == 16 then
    record = redis.pcall('GET', record_of(key, place))
  elseif #place == 24 then
    local from, length = struct.unpack('<I4I4', place, 17)
    record = redis.pcall('GETRANGE', records_of(place), from, from + length - 1)
    if record == '' then record = nil end
  end
  return type(record) == 'string' and record or nil
end

-- Return 4, {2, response} or {3, response, record}, and where that is; nil: nothing is remembered. A value that cannot be read is never
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
  local place = string.sub(value, 14 + length)
  local record = record_at(key, place)
  if record then return {3, response, record}, place end
  return {2, response}, place
end
