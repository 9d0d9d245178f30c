-- Make claims in order, each atomically over all its caps and its request_id.
-- KEYS: total counters; then for each claim its history key, its request key if it has one, its account's history if it names one (a ghost
--       claim: ghost, then real; of somebody partly held out: real, then ghost), and the ghost history of who is partly held out.
-- ARGV: for each claim its header, then the value to remember, the account's section, the totals, what is withheld, and what is withheld
--       of the account, as its flags say; then watches; last of all <I2 claims> <I2 total counters> <I2 watches> and the horizon in ms, as text
--   header  <c8 fingerprint> <c8 reservation> <d now_ms> <B flags> <I2 which watch, from 1; 0: none>,
--           then for each charge <c8 cap> <d limit> <d live_until_ms> <d until_ms>
--   flags   1 has a request key | 2 names an account | 4 has totals | 8 is a ghost's | 16 is of somebody partly held out: judged by both
--   value   as in remembered.lua, which stands before this; the claim's record was stored before the script was sent
--   account <I2 which watch>, then charges as in the header
--   totals  each <I2 real counter> <I2 own counter> <d most> <d limit> <d bucket> <d receipt live_until_ms> <c8 receipt> <B charges>
--           (of somebody partly held out the own counter is the ghost one, and charges are 16 for each that is withheld, 1 for others)
--   withheld  charges as in the header
--   watch   for each watched cap <c8 cap> <d most>
-- Reply: 0 all made, or for each claim: 0 made | {1, charge or -1 for a watched cap, history} | {2, response} | {3, response, record}
--       | 4 mismatch; a claim with an account or totals: {1, charge, history, account history, counts <d>...}
local HEADER, WATCHED, CHARGE, ENTRY = '<c8c8dBI2', '<c8d', '<c8ddd', '<c8c8dd'
local TOTAL, BUCKET = '<I2I2ddddc8B', '<dd'
local MAX_ENTRIES = 512
local MARKER = 2199023255552
local MAX_LIFE_MS = 315360000000
local DAMAGED = 9007199254740992
local unpack, pack, sub, call, pcall = struct.unpack, struct.pack, string.sub, redis.call, redis.pcall

local claims, totals, watches, horizon = unpack('<I2I2I2', ARGV[#ARGV])
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
  call('SET', key, value, 'PX', text)
end

-- Count live entries in `counts`; return them as they are, and when the last of them ends, `last` at the earliest.
local function read(raw, now, counts, last)
  local run, kept = 1, ''
  for at = 1, #raw, 32 do
    local cap, _, live_until = unpack(ENTRY, raw, at)
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
    local of, _, live_until = unpack(ENTRY, entries, 32 * i - 31)
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
    watch = {caps = {}, most = {}, least = 0}
    for i = 1, #section / 16 do
      watch.caps[i], watch.most[i], at = unpack(WATCHED, section, at)
      watch.least = math.min(watch.least, watch.most[i])
    end
    watched[which] = watch
  end
  -- As mostly: nothing counts.
  if watch.least >= 0 and next(counts) == nil then return false end
  for i, cap in ipairs(watch.caps) do
    if (counts[cap] or 0) > watch.most[i] then return true end
  end
end

-- Judge watches and charges by a history, and by the one beside it. In the book: lost is nil, the index of a charge without room, or -1
-- for a watched cap; text is what to show of the history then.
local function judge(key, beside, section, at, watch, now, reservation)
  local raw, other = pcall('GET', key) or '', beside and pcall('GET', beside) or ''
  if type(raw) ~= 'string' or type(other) ~= 'string' then return {lost = 0, text = '?', charges = 0} end -- another type of value: damaged
  if #raw % 32 ~= 0 or #other % 32 ~= 0 then
    local text = raw .. other -- damaged: every cap counts as used up
    return {lost = 0, text = #text % 32 == 0 and text .. '?' or text, charges = 0}
  end
  local counts = {}
  local entries, last = read(raw, now, counts, now)
  local book = {entries = entries, before = entries, counts = counts, last = last, other = other, charges = 0}
  if other ~= '' then read(other, now, counts, now) end
  book.lost = watch > 0 and exceeded(watch, counts) and -1 or take(book, counts, section, at, reservation)
  return book
end

-- Charge what is withheld to the ghost entries beside a judged history; their room is that of both.
local function withhold(book, section, now, reservation)
  local side = {charges = 0}
  side.entries, side.last = read(book.other, now, {}, now)
  book.ghost = side
  local lost = take(side, book.counts, section, 1, reservation)
  if lost then book.lost = book.charges + lost end
end

-- What a lost claim is shown of a history: live entries as they were.
local function shown(book, now)
  if book.text then return book.text end
  if book.other == '' then return book.before end
  return book.before .. (read(book.other, now, {}, now))
end

local function keep(book, key, ghost_key, now)
  if not book then return end
  if book.charges > 0 then store(key, book.entries, book.last, now) end
  local ghost = book.ghost
  if ghost and ghost.charges > 0 then store(ghost_key, ghost.entries, ghost.last, now) end
end

-- Total counters, read once and written once a call.
local counters = {}
local function counter(index, now)
  local found = counters[index]
  if not found then
    found = {buckets = {}}
    local raw = pcall('GET', KEYS[index])
    if raw and (type(raw) ~= 'string' or #raw % 16 ~= 0) then
      found.damaged, found.used = true, DAMAGED
    elseif raw then
      for at = 1, #raw, 16 do
        local ends, count = unpack(BUCKET, raw, at)
        found.buckets[ends] = count
      end
    end
    counters[index] = found
  end
  if found.now ~= now and not found.damaged then
    found.now, found.used = now, 0
    for ends, count in pairs(found.buckets) do
      if ends > now then found.used = found.used + count end
    end
  end
  return found
end

-- Judge totals: the index of a charge without room, -1 for a watched one, nil: none; the charges; and what the counters show.
local function judge_totals(section, now, partly)
  local lost, charges, counts, at, charge = nil, {}, {}, 1, 0
  while at <= #section do
    local real, own, most, limit, bucket, receipt_until, receipt, count
    real, own, most, limit, bucket, receipt_until, receipt, count, at = unpack(TOTAL, section, at)
    local withheld = 0
    if partly then
      withheld = math.floor(count / 16)
      count = count % 16 + withheld
    end
    local used = counter(real, now).used
    counts[#counts + 1] = pack('<d', used)
    if not lost then
      if used > most then
        lost = -1
      elseif count > 0 and used + count > limit then
        lost = charge
      end
    end
    if count > withheld then charges[#charges + 1] = {partly and real or own, bucket, receipt_until, receipt, count - withheld} end
    if withheld > 0 then charges[#charges + 1] = {own, bucket, receipt_until, receipt, withheld, true} end
    charge = charge + count
  end
  return lost, charges, table.concat(counts)
end

local replies, others, key, arg = {}, false, totals + 1, 1
for claim = 1, claims do
  local header, history_key = ARGV[arg], KEYS[key]
  local fingerprint, reservation, now, flags, watch, at = unpack(HEADER, header)
  local request_key, account_key, beside_key, account_section, totals_section, ghost_key, withheld, account_withheld
  local outcome, name, known
  arg, key = arg + 1, key + 1
  if flags % 2 == 1 then
    request_key, name = KEYS[key], ARGV[arg]
    -- Taken at once, and given up again below by a claim that is lost: one command where the request_id is new, as mostly.
    if not call('SET', request_key, name, 'PX', horizon, 'NX') then
      outcome, known = remembered(request_key, fingerprint)
      outcome = outcome or 4
    end
    name = sub(name, -16)
    arg, key = arg + 1, key + 1
  end
  if flags >= 2 then
    if flags % 4 >= 2 then
      account_key, account_section = KEYS[key], ARGV[arg]
      arg, key = arg + 1, key + 1
      if flags >= 8 then
        beside_key = KEYS[key]
        key = key + 1
      end
    end
    if flags % 8 >= 4 then
      totals_section = ARGV[arg]
      arg = arg + 1
    end
    if flags >= 16 then
      ghost_key, withheld = KEYS[key], ARGV[arg]
      key, arg = key + 1, arg + 1
      if account_key then
        account_withheld = ARGV[arg]
        arg = arg + 1
      end
    end
  end

  local duplicate = outcome
  local mine = watch > 0 or at <= #header or totals_section or withheld and #withheld > 0
  if not duplicate and (mine or account_key) then
    local book, account, total_lost, total_charges, counts, lost
    if mine then
      book = judge(history_key, ghost_key, header, at, watch, now, reservation)
      if ghost_key and not book.lost then withhold(book, withheld, now, reservation) end
      lost = book.lost
    end
    if account_key or totals_section then
      local charge = (#header - at + 1 + (withheld and #withheld or 0)) / 32
      if account_key then
        local account_watch, from = unpack('<I2', account_section)
        account = judge(account_key, beside_key, account_section, from, account_watch, now, reservation)
        if account_withheld and not account.lost then withhold(account, account_withheld, now, reservation) end
        if not lost and account.lost then lost = account.lost < 0 and -1 or charge + account.lost end
        charge = charge + (#account_section - from + 1 + (account_withheld and #account_withheld or 0)) / 32
      end
      if totals_section then
        total_lost, total_charges, counts = judge_totals(totals_section, now, ghost_key)
        if not lost and total_lost then lost = total_lost < 0 and -1 or charge + total_lost end
        -- Each charge leaves a receipt in the person's history, by which it can be moved or given back.
        for _, charged in ipairs(lost and {} or total_charges) do
          local side = charged[6] and book.ghost or book
          if #side.entries / 32 + charged[5] > MAX_ENTRIES then
            lost = charge
            break
          end
          local receipt = pack(ENTRY, charged[4], reservation, charged[3], charged[2])
          side.entries, side.charges = side.entries .. string.rep(receipt, charged[5]), side.charges + charged[5]
          if charged[3] > side.last then side.last = charged[3] end
        end
      end
      if lost then outcome = {1, lost, book and shown(book, now) or '', account and shown(account, now) or '', counts or ''} end
    elseif lost then
      outcome = {1, lost, shown(book, now)}
    end
    if not outcome then
      keep(book, history_key, ghost_key, now)
      keep(account, account_key, beside_key, now)
      for _, charged in ipairs(total_charges or {}) do
        local own, bucket = counter(charged[1], now), charged[2]
        own.buckets[bucket] = (own.buckets[bucket] or 0) + charged[5]
        if bucket > now and not own.damaged then own.used = own.used + charged[5] end
        own.dirty = true
      end
    end
  end
  if outcome then
    others = true
    if request_key then
      if not duplicate then call('DEL', request_key) end
      -- Its record came before it, and nothing refers to that now.
      if name ~= known then call('DEL', record_of(request_key, name)) end
    end
  end
  replies[claim] = outcome or 0
end

for index, found in pairs(counters) do
  if found.dirty and not found.damaged then
    local ends, kept, last = {}, {}, found.now
    for bucket in pairs(found.buckets) do
      if bucket > found.now then ends[#ends + 1] = bucket end
    end
    table.sort(ends)
    for i, bucket in ipairs(ends) do kept[i] = pack(BUCKET, bucket, found.buckets[bucket]) end
    if #ends > 0 then store(KEYS[index], table.concat(kept), ends[#ends], found.now) end
  end
end
return others and replies or 0
