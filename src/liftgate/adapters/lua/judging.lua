-- Judging what `reserve.lua` is asked for by contact histories; it says what the arguments are. `remembered.lua` stands before this.
local HEAD, WATCHED, CHARGE, ENTRY, LIVE = '<dBI2I2I2', '<c8d', '<c8ddd', '<c8c8dd', '<c8xxxxxxxxd'
local MAX_ENTRIES = 512
local MARKER = 2199023255552
local MAX_LIFE_MS = 315360000000
local unpack, pack, sub, call, pcall = struct.unpack, struct.pack, string.sub, redis.call, redis.pcall

local claims, totals, uses, choices, watches, together, horizon = unpack('<I2I2I2I2I2B', ARGV[#ARGV])
horizon = sub(ARGV[#ARGV], horizon)

local spelled = {}
-- Relative, so that neither a skewed clock nor a replayed one makes keys vanish or stay.
local function store(key, value, last, now)
  local life = last - now
  local text = spelled[life]
  if not text then
    text = string.format('%.0f', math.min(math.max(math.ceil(life), 1), MAX_LIFE_MS))
    spelled[life] = text
  end
  call('PSETEX', key, text, value)
end

-- Count live entries in `counts`; return them as they are, and when the last of them ends, `last` at the earliest.
local function read(raw, now, counts, last)
  local run, kept = 1, ''
  for at = 1, #raw, 32 do
    local cap, live_until = unpack(LIVE, raw, at)
    if live_until > now then
      if live_until > last then last = live_until end
      counts[cap] = (counts[cap] or 0) + 1
    else
      if at > run then kept = kept .. sub(raw, run, at - 1) end
      run = at + 32
    end
  end
  return run == 1 and raw or kept .. sub(raw, run), last
end

-- The place of a cap's entry that ends first; nil: there is none.
local function oldest(entries, cap)
  local place, least
  for i = 1, #entries / 32 do
    local of, live_until = unpack(LIVE, entries, 32 * i - 31)
    if of == cap and (not least or live_until < least) then place, least = i, live_until end
  end
  return place
end

-- Add charges to one side; limits hold for all that `counts` counts. Return the index of the first without room; nil: all have room.
local function take(side, counts, section, at, reservation)
  local entries, last, charge, lost = side.entries, side.last, 0, nil
  while at <= #section do
    local cap, limit, live_until, ends
    cap, limit, live_until, ends, at = unpack(CHARGE, section, at)
    local used = counts[cap] or 0
    -- A marker says that something happened: two of a kind are enough, so that one is left when the other is given back.
    local place = limit >= MARKER and used >= 2 and oldest(entries, cap) or nil
    if used >= limit or (place or #entries / 32 + 1) > MAX_ENTRIES then
      lost = charge
      break
    end
    local entry = pack(ENTRY, cap, reservation, live_until, ends)
    if place then
      entries = sub(entries, 1, 32 * place - 32) .. entry .. sub(entries, 32 * place + 1)
    else
      entries, counts[cap] = entries .. entry, used + 1
    end
    charge = charge + 1
    if live_until > last then last = live_until end
  end
  side.entries, side.last, side.charges = entries, last, charge
  return lost
end

local watched = {}
-- Say whether a watched cap counts more than it may.
local function exceeded(which, counts)
  local watch = watched[which]
  if not watch then
    local section, at = ARGV[#ARGV - 1 - watches + which], 1
    watch = {most = {}, least = 0}
    while at <= #section do
      local cap, most
      cap, most, at = unpack(WATCHED, section, at)
      watch.most[cap], watch.least = most, math.min(watch.least, most)
    end
    watched[which] = watch
  end
  if watch.least < 0 then return true end
  -- Fewer caps count than are watched.
  local most_of = watch.most
  for cap, used in pairs(counts) do
    local most = most_of[cap]
    if most and used > most then return true end
  end
  return false
end

local function section_of(choice)
  return choice > 0 and ARGV[#ARGV - 1 - watches - choices + choice] or ''
end
