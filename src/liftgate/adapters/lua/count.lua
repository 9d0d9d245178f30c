-- Count events against caps and pauses, each atomically and once.
-- KEYS: total counters; then for each event its key, the person's history and ghost history, and its account's two if it names one.
-- ARGV: for each event its header, the person's caps, the account's, totals and pauses; last of all <I2 events> <I2 total counters>
--   header  <c8 reservation of its decision, or zeros> <c8 id of the event> <d now_ms> <d occurred_at_ms> <d horizon_ms> <B flags>
--   flags   1 by what is known of the person alone, held out | 2 names an account | 4 whether held out depends on consent
--   caps    each <c8 cap> <d until_ms> <B how>: 1 only where the decision holds a lease | 2 the lease's own window wins while it lasts
--   totals  each <I2 real counter> <I2 ghost counter> <c8 receipt> <d bucket> <B how>: 1 as above
--   pauses  each <c8 cap> <c8 outcome> <B after> <d within_ms> <d lasts_ms>
-- Reply, for each event: 0 known before | 1 counted | 2 counted, but a history was full
local HEADER, CAP, TOTAL, PAUSE = '<c8c8dddB', '<c8dB', '<I2I2c8dB', '<c8c8Bdd'
local ENTRY, BUCKET = '<c8c8dd', '<dd'
local NOBODY = string.rep('\0', 8)
local MAX_ENTRIES = 1024
local MAX_OUTCOMES = 64
local MAX_LIFE_MS = 315360000000

local function store(key, value, last, now)
  local life = math.min(math.max(math.ceil(last - now), 1), MAX_LIFE_MS)
  redis.call('SET', key, value, 'PX', string.format('%.0f', life))
end

-- A history as entries {cap, reservation, live_until, until}; one that is damaged is left alone.
local function open(key, now)
  local raw = redis.pcall('GET', key)
  local book = {key = key, entries = {}}
  if raw and (type(raw) ~= 'string' or #raw % 32 ~= 0) then book.damaged = true end
  if raw and not book.damaged then
    for at = 1, #raw, 32 do
      local cap, reservation, live_until, ends = struct.unpack(ENTRY, raw, at)
      if live_until > now then book.entries[#book.entries + 1] = {cap, reservation, live_until, ends} end
    end
  end
  return book
end

local function close(book, now)
  if not book.changed or book.damaged then return end
  local packed, last = {}, now
  for i, entry in ipairs(book.entries) do
    packed[i] = struct.pack(ENTRY, entry[1], entry[2], entry[3], entry[4])
    if entry[3] > last then last = entry[3] end
  end
  if #packed == 0 then redis.call('DEL', book.key) else store(book.key, table.concat(packed), last, now) end
end

local function find(book, cap, reservation, leased)
  for i, entry in ipairs(book.entries) do
    if entry[1] == cap and entry[2] == reservation and (not leased or entry[3] ~= entry[4]) then return i, entry end
  end
end

local function holds(book, reservation)
  for _, entry in ipairs(book.entries) do
    if entry[2] == reservation then return true end
  end
end

local function add(book, entry)
  if book.damaged or #book.entries >= MAX_ENTRIES then return false end
  book.entries[#book.entries + 1] = entry
  book.changed = true
  return true
end

-- A lease becomes what it was held for; without one the event counts by itself, for the window of its own time.
local function count_caps(book, section, reservation, event, now, occurred)
  local at, whole = 1, true
  while at <= #section do
    local cap, until_ms, how
    cap, until_ms, how, at = struct.unpack(CAP, section, at)
    local i, lease
    if reservation ~= NOBODY then i, lease = find(book, cap, reservation, true) end
    if lease then
      if how >= 2 and occurred < lease[4] then until_ms = lease[4] end
      book.changed = true
      if until_ms > now then lease[3], lease[4] = until_ms, until_ms else table.remove(book.entries, i) end
    elseif how % 2 == 0 and until_ms > now and not find(book, cap, event) then
      whole = add(book, {cap, event, until_ms, until_ms}) and whole
    end
  end
  return whole
end

local counters = {}
local function counter(index)
  local found = counters[index]
  if not found then
    found = {}
    counters[index] = found
    local raw = redis.pcall('GET', KEYS[index])
    if raw and (type(raw) ~= 'string' or #raw % 16 ~= 0) then
      found.damaged = true
    elseif raw then
      for at = 1, #raw, 16 do
        local ends, count = struct.unpack(BUCKET, raw, at)
        found[ends] = count
      end
    end
  end
  return found
end

local dirty = {}
local function count_totals(book, ghost, section, reservation, now)
  local at = 1
  while at <= #section do
    local real, own, receipt, bucket, how
    real, own, receipt, bucket, how, at = struct.unpack(TOTAL, section, at)
    if ghost then real = own end
    local i, lease
    if reservation ~= NOBODY then i, lease = find(book, receipt, reservation) end
    local found = counter(real)
    if lease then
      found[lease[4]] = math.max((found[lease[4]] or 0) - 1, 0)
      table.remove(book.entries, i)
      book.changed, dirty[real] = true, now
    end
    if (lease or how % 2 == 0) and bucket > now then
      found[bucket] = (found[bucket] or 0) + 1
      dirty[real] = now
    end
  end
end

-- Paused until the last outcome that completes `after` of them within `within`, and `lasts` more: the same in whatever order they come.
local function pause(book, section, event, now, occurred)
  local at, whole = 1, true
  while at <= #section do
    local cap, outcome, after, within, lasts
    cap, outcome, after, within, lasts, at = struct.unpack(PAUSE, section, at)
    local live_until = occurred + within + lasts
    if live_until > now and not find(book, outcome, event) then
      whole = add(book, {outcome, event, live_until, occurred}) and whole
      local times = {}
      for _, entry in ipairs(book.entries) do
        if entry[1] == outcome then times[#times + 1] = entry[4] end
      end
      table.sort(times)
      local ends = 0
      for i = #times, after, -1 do
        if after == 1 or times[i] - times[i - after + 1] < within then
          ends = times[i] + lasts
          break
        end
      end
      if ends > now then
        local _, paused = find(book, cap, NOBODY)
        if paused then
          if ends > paused[3] then paused[3], paused[4], book.changed = ends, ends, true end
        else
          whole = add(book, {cap, NOBODY, ends, ends}) and whole
        end
      end
      if #times > MAX_OUTCOMES then
        for i, entry in ipairs(book.entries) do
          if entry[1] == outcome and entry[4] == times[1] then
            table.remove(book.entries, i)
            break
          end
        end
      end
    end
  end
  return whole
end

local events, totals = struct.unpack('<I2I2', ARGV[#ARGV])
local replies, key, arg = {}, totals + 1, 1
for i = 1, events do
  local reservation, event, now, occurred, horizon, flags = struct.unpack(HEADER, ARGV[arg])
  local caps, account_caps, total_caps, pauses = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  local event_key, real_key, ghost_key = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local account_key = key + 3
  arg, key = arg + 5, key + (flags % 4 >= 2 and 5 or 3)
  if redis.pcall('GET', event_key) == 'L' then
    replies[i] = 0
  else
    local real, ghosts = open(real_key, now), open(ghost_key, now)
    local own, whole, held_out, known = real, true, flags % 2 == 1, false
    if reservation ~= NOBODY and holds(real, reservation) then
      known = true
    elseif reservation ~= NOBODY and holds(ghosts, reservation) then
      own, known = ghosts, true
    elseif held_out then
      own = ghosts
    end
    whole = count_caps(own, caps, reservation, event, now, occurred) and whole
    if flags >= 4 and own == ghosts and not known then
      -- It may have been shown after all: counted too often is the safe side.
      whole = count_caps(real, caps, reservation, event, now, occurred) and whole
      count_totals(real, false, total_caps, reservation, now)
    end
    if flags % 4 >= 2 and #account_caps > 0 then
      local book = open(KEYS[account_key + (own == ghosts and 1 or 0)], now)
      whole = count_caps(book, account_caps, reservation, event, now, occurred) and whole
      close(book, now)
      whole = whole and not book.damaged
    end
    count_totals(own, own == ghosts, total_caps, reservation, now)
    if #pauses > 0 then
      -- What a person did is true whatever they were shown.
      whole = pause(real, pauses, event, now, occurred) and whole
      if held_out then whole = pause(ghosts, pauses, event, now, occurred) and whole end
    end
    whole = whole and not own.damaged
    close(real, now)
    close(ghosts, now)
    redis.call('SET', event_key, 'L', 'PX', string.format('%.0f', horizon))
    replies[i] = whole and 1 or 2
  end
end

for index, now in pairs(dirty) do
  local found, ends, packed = counters[index], {}, {}
  if not found.damaged then
    for bucket, count in pairs(found) do
      if bucket > now and count > 0 then ends[#ends + 1] = bucket end
    end
    table.sort(ends)
    for i, bucket in ipairs(ends) do packed[i] = struct.pack(BUCKET, bucket, found[bucket]) end
    if #ends == 0 then redis.call('DEL', KEYS[index]) else store(KEYS[index], table.concat(packed), ends[#ends], now) end
  end
end
return replies
