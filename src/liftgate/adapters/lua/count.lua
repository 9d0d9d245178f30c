-- Count events against caps and pauses and apply them to features, each atomically and once. `features` stands before it: features.lua.
-- KEYS: total counters; then for each event its key, the person's history and ghost history, and its account's two if it names one;
--   last the person's feature state, if it changes any.
-- ARGV: for each event its header, the person's caps, the account's, totals and pauses, and what it changes of features
--   if it does; of one that changes features and nothing else that alone, and its keys are its own and the state's.
--   Then upkeeps, and last of all <I2 events> <I2 total counters> <I2 upkeeps> <d horizon_ms>
--   header  <B flags> <c8 reservation of its decision, or zeros> <c8 id of the event> <d now_ms> <d occurred_at_ms>
--   flags   1 by what is known of the person alone, held out | 2 names an account | 4 whether held out depends on consent
--           | 8 partly held out: 1 says whether of this offer; a lease counts where it lies | 16 leases on both sides count
--           | 32 changes features
--   caps    each <c8 cap> <d until_ms> <B how>: 1 only where the decision holds a lease | 2 the lease's own window wins while it lasts
--           | 4 the decision counts, not the event: once
--   totals  each <I2 real counter> <I2 ghost counter> <c8 receipt> <d bucket> <B how>: 1 and 4 as above
--   pauses  each <c8 cap> <c8 outcome> <B after> <d within_ms> <d lasts_ms>
--   features  <B 64 alone, 0 after the others> <I2 which upkeep, from 1> <d lives_ms> <changes>: features.lua
-- Reply, for each event: 0 known before | 1 counted | 2 counted, but a history was full
local HEADER, CAP, TOTAL, PAUSE = '<Bc8c8dd', '<c8dB', '<I2I2c8dB', '<c8c8Bdd'
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

local function commit(book, i, lease, until_ms, how, now, occurred)
  if how % 4 >= 2 and occurred < lease[4] then until_ms = lease[4] end
  book.changed = true
  if until_ms > now then lease[3], lease[4] = until_ms, until_ms else table.remove(book.entries, i) end
end

-- A lease becomes what it was held for; without one the event counts by itself, for the window of its own time. `beside`: where leases
-- may lie too; `both`: those of both sides count.
local function count_caps(book, beside, both, section, reservation, event, now, occurred)
  local at, whole = 1, true
  while at <= #section do
    local cap, until_ms, how
    cap, until_ms, how, at = struct.unpack(CAP, section, at)
    local i, lease, j, other
    if reservation ~= NOBODY then
      i, lease = find(book, cap, reservation, true)
      if beside and (both or not lease) then j, other = find(beside, cap, reservation, true) end
    end
    if lease then commit(book, i, lease, until_ms, how, now, occurred) end
    if other then commit(beside, j, other, until_ms, how, now, occurred) end
    if not lease and not other and how % 2 == 0 and until_ms > now then
      -- A decision counts once: under its own name, whichever event says so.
      local name = how >= 4 and reservation or event
      if not find(book, cap, name) and not (how >= 4 and beside and find(beside, cap, name)) then
        whole = add(book, {cap, name, until_ms, until_ms}) and whole
      end
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
-- `where`: books in which the charge's receipt may lie, each with whether it is the ghosts'; the first is the event's own side.
local function count_totals(where, section, reservation, now)
  local at = 1
  while at <= #section do
    local real, ghosts, receipt, bucket, how
    real, ghosts, receipt, bucket, how, at = struct.unpack(TOTAL, section, at)
    local book, ghost = where[1].book, where[1].ghost
    local i, lease
    if reservation ~= NOBODY then
      i, lease = find(book, receipt, reservation)
      if not lease and where[2] then
        i, lease = find(where[2].book, receipt, reservation)
        if lease then book, ghost = where[2].book, where[2].ghost end
      end
    end
    local index = ghost and ghosts or real
    local found = counter(index)
    local counted = lease and lease[4] == 0 -- a decision that has counted already
    if lease and not counted then
      found[lease[4]] = math.max((found[lease[4]] or 0) - 1, 0)
      table.remove(book.entries, i)
      book.changed, dirty[index] = true, now
    end
    if not counted and (lease or how % 2 == 0) and bucket > now then
      found[bucket] = (found[bucket] or 0) + 1
      dirty[index] = now
      if how >= 4 and reservation ~= NOBODY then add(book, {receipt, reservation, bucket, 0}) end
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

local events, totals, upkeeps, horizon = struct.unpack('<I2I2I2d', ARGV[#ARGV])
horizon = string.format('%.0f', horizon)
local replies, key, arg = {}, totals + 1, 1
local first_upkeep = #ARGV - 1 - upkeeps

local function change_features(state_key, update)
  local _, upkeep, lives, at = struct.unpack('<BI2d', update)
  return features.apply(state_key, lives, update, at, ARGV[first_upkeep + upkeep])
end

-- Whether an event was known; it is from now on.
local function known_before(event_key)
  -- One command where the event is new. What is there and says neither logged nor revoked says nothing, and is replaced.
  if redis.call('SET', event_key, 'L', 'PX', horizon, 'NX') then return false end
  local seen = redis.pcall('GET', event_key)
  if seen == 'L' or seen == 'R' then return true end
  redis.call('SET', event_key, 'L', 'PX', horizon)
  return false
end

for i = 1, events do
  local first = ARGV[arg]
  if string.byte(first) >= 64 then
    if known_before(KEYS[key]) then
      replies[i] = 0
    else
      replies[i] = change_features(KEYS[key + 1], first) and 1 or 2
    end
    arg, key = arg + 1, key + 2
  else
  local flags, reservation, event, now, occurred = struct.unpack(HEADER, first)
  local caps, account_caps, total_caps, pauses = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  local event_key, real_key, ghost_key, account_key = KEYS[key], KEYS[key + 1], KEYS[key + 2], key + 3
  local update, state_key
  arg, key = arg + 5, key + (flags % 4 >= 2 and 5 or 3)
  if flags >= 32 then
    update, state_key = ARGV[arg], KEYS[key]
    arg, key = arg + 1, key + 1
  end
  if known_before(event_key) then
    replies[i] = 0
  else
    local real, ghosts = open(real_key, now), open(ghost_key, now)
    local own, beside, whole, held_out, known = real, nil, true, flags % 2 == 1, false
    local partly, both = flags % 16 >= 8, flags % 32 >= 16
    if partly then
      if held_out and reservation ~= NOBODY and holds(ghosts, reservation) then own = ghosts end
      beside = own == real and ghosts or real
    elseif reservation ~= NOBODY and holds(real, reservation) then
      known = true
    elseif reservation ~= NOBODY and holds(ghosts, reservation) then
      own, known = ghosts, true
    elseif held_out then
      own = ghosts
    end
    whole = count_caps(own, beside, both, caps, reservation, event, now, occurred) and whole
    if flags % 8 >= 4 and not partly and own == ghosts and not known then
      -- It may have been shown after all: counted too often is the safe side.
      whole = count_caps(real, nil, false, caps, reservation, event, now, occurred) and whole
      count_totals({{book = real, ghost = false}}, total_caps, reservation, now)
    end
    if flags % 4 >= 2 and #account_caps > 0 then
      local side = own == ghosts and 1 or 0
      local book = open(KEYS[account_key + side], now)
      local other = partly and open(KEYS[account_key + 1 - side], now) or nil
      whole = count_caps(book, other, both, account_caps, reservation, event, now, occurred) and whole
      close(book, now)
      if other then close(other, now) end
      whole = whole and not book.damaged
    end
    local sides = {{book = own, ghost = own == ghosts}}
    if beside then sides[2] = {book = beside, ghost = beside == ghosts} end
    count_totals(sides, total_caps, reservation, now)
    if both then count_totals({sides[2]}, total_caps, reservation, now) end
    if #pauses > 0 then
      -- What a person did is true whatever they were shown.
      whole = pause(real, pauses, event, now, occurred) and whole
      if held_out and not partly then whole = pause(ghosts, pauses, event, now, occurred) and whole end
    end
    whole = whole and not own.damaged
    if update then whole = change_features(state_key, update) and whole end
    close(real, now)
    close(ghosts, now)
    replies[i] = whole and 1 or 2
  end
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
features.close()
return replies
