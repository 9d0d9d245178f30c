-- Make claims in order, each atomically over all its caps and its request_id.
-- KEYS: total counters; then for each claim its history key, its request key if it has one, its account's history if it names one (a ghost
--       claim: ghost, then real; of somebody partly held out: real, then ghost), and the ghost history of who is partly held out.
-- ARGV: for each claim its header, then the value to remember, the account's section, the totals, what is withheld, and what is withheld
--       of the account, as its flags say; last of all <I2 claims> <I2 total counters>
--   header  <c8 fingerprint> <c8 reservation> <d now_ms> <d horizon_ms> <B flags> <I2 caps watched>,
--           then for each watched cap <c8 cap> <d most>, then for each charge <c8 cap> <d limit> <d live_until_ms> <d until_ms>
--   flags   1 has a request key | 2 names an account | 4 has totals | 8 is a ghost's | 16 is of somebody partly held out: judged by both
--   value   'P' <c8 fingerprint> <I4 length of the response> response record
--   account <I2 caps watched>, then as in the header
--   totals  each <I2 real counter> <I2 own counter> <d most> <d limit> <d bucket> <d receipt live_until_ms> <c8 receipt> <B charges>
--           (of somebody partly held out the own counter is the ghost one, and charges are 16 for each that is withheld, 1 for others)
--   withheld  charges as in the header
-- Reply, for each claim: 0 made | {1, charge or -1 for a watched cap, history} | {2, response} | {3, response, record} | 4 mismatch;
--       a claim with an account or totals: {1, charge, history, account history, counts <d>...}
local HEADER, WATCHED, CHARGE, ENTRY, MEMORY = '<c8c8ddBI2', '<c8d', '<c8ddd', '<c8c8dd', '<c1c8I4'
local TOTAL, BUCKET = '<I2I2ddddc8B', '<dd'
local MAX_ENTRIES = 512
local MARKER = 2199023255552
local MAX_LIFE_MS = 315360000000
local DAMAGED = 9007199254740992

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

-- Relative, so that neither a skewed clock nor a replayed one makes keys vanish or stay.
local function store(key, value, last, now)
  local life = math.min(math.max(math.ceil(last - now), 1), MAX_LIFE_MS)
  redis.call('SET', key, value, 'PX', string.format('%.0f', life))
end

-- Add live entries to `book`: as they are, how many, how many each cap has, and when the last of them ends.
local function read(book, raw, now, keep)
  local kept, n, counts, last = book.kept, book.n, book.counts, book.last
  for at = 1, #raw, 32 do
    local cap, _, live_until = struct.unpack(ENTRY, raw, at)
    if live_until > now then
      if keep then
        n = n + 1
        kept[n] = string.sub(raw, at, at + 31)
        if live_until > last then last = live_until end
      end
      counts[cap] = (counts[cap] or 0) + 1
    end
  end
  book.n, book.before, book.last = n, n, last
end

-- The place of a cap's entry that ends first; nil: there is none.
local function oldest(kept, n, cap)
  local place, least
  for i = 1, n do
    local of, _, live_until = struct.unpack(ENTRY, kept[i])
    if of == cap and (not least or live_until < least) then place, least = i, live_until end
  end
  return place
end

-- Add charges to one side; limits hold for all that `counts` counts. Return the index of the first without room; nil: all have room.
local function take(side, counts, section, at, reservation)
  local kept, n, last, charge, lost = side.kept, side.n, side.last, 0, nil
  while at <= #section do
    local cap, limit, live_until, ends
    cap, limit, live_until, ends, at = struct.unpack(CHARGE, section, at)
    local used = counts[cap] or 0
    -- A marker says that something happened: two of a kind are enough, so that one is left when the other is given back.
    local place = limit >= MARKER and used >= 2 and oldest(kept, n, cap) or n + 1
    if used >= limit or place > MAX_ENTRIES then
      lost = charge
      break
    end
    if place > n then n, counts[cap] = place, used + 1 end
    charge = charge + 1
    kept[place] = struct.pack(ENTRY, cap, reservation, live_until, ends)
    if live_until > last then last = live_until end
  end
  side.n, side.last, side.charges = n, last, charge
  return lost
end

-- Judge watches and charges by a history, and by the one beside it. In the book: lost is nil, the index of a charge without room, or -1
-- for a watched cap; text is what to show of the history then.
local function judge(key, beside, section, at, watched, now, reservation)
  local book = {kept = {}, n = 0, before = 0, counts = {}, last = now, charges = 0}
  local raw, other = redis.pcall('GET', key), beside and redis.pcall('GET', beside) or ''
  if not raw then raw = '' end
  if type(raw) ~= 'string' or type(other) ~= 'string' then
    book.lost, book.text = 0, '?' -- another type of value: damaged
    return book
  end
  if #raw % 32 ~= 0 or #other % 32 ~= 0 then
    book.lost, book.text = 0, raw .. other -- damaged: every cap counts as used up
    if #book.text % 32 == 0 then book.text = book.text .. '?' end
    return book
  end
  read(book, raw, now, true)
  if other ~= '' then read(book, other, now, false) end
  book.other = other
  for _ = 1, watched do
    local cap, most
    cap, most, at = struct.unpack(WATCHED, section, at)
    if (book.counts[cap] or 0) > most then
      book.lost = -1
      return book
    end
  end
  book.lost = take(book, book.counts, section, at, reservation)
  return book
end

-- Charge what is withheld to the ghost entries beside a judged history; their room is that of both.
local function withhold(book, section, now, reservation)
  local side = {kept = {}, n = 0, counts = {}, last = now, charges = 0}
  read(side, book.other, now, true)
  book.ghost = side
  local lost = take(side, book.counts, section, 1, reservation)
  if lost then book.lost = book.charges + lost end
end

-- What a lost claim is shown of a history: live entries as they were.
local function shown(book, now)
  if book.text then return book.text end
  if not book.other or book.other == '' then return table.concat(book.kept, '', 1, book.before) end
  local beside = {kept = {}, n = 0, counts = {}, last = now}
  read(beside, book.other, now, true)
  return table.concat(book.kept, '', 1, book.before) .. table.concat(beside.kept)
end

local function keep(book, key, ghost_key, now)
  if not book then return end
  if book.charges > 0 then store(key, table.concat(book.kept), book.last, now) end
  local ghost = book.ghost
  if ghost and ghost.charges > 0 then store(ghost_key, table.concat(ghost.kept), ghost.last, now) end
end

-- Total counters, read once and written once a call.
local counters = {}
local function counter(index, now)
  local found = counters[index]
  if not found then
    found = {buckets = {}}
    local raw = redis.pcall('GET', KEYS[index])
    if raw and (type(raw) ~= 'string' or #raw % 16 ~= 0) then
      found.damaged, found.used = true, DAMAGED
    elseif raw then
      for at = 1, #raw, 16 do
        local ends, count = struct.unpack(BUCKET, raw, at)
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
    real, own, most, limit, bucket, receipt_until, receipt, count, at = struct.unpack(TOTAL, section, at)
    local withheld = 0
    if partly then
      withheld = math.floor(count / 16)
      count = count % 16 + withheld
    end
    local used = counter(real, now).used
    counts[#counts + 1] = struct.pack('<d', used)
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

local claims, totals = struct.unpack('<I2I2', ARGV[#ARGV])
local replies, key, arg = {}, totals + 1, 1
for claim = 1, claims do
  local header, history_key = ARGV[arg], KEYS[key]
  local fingerprint, reservation, now, horizon, flags, watched, at = struct.unpack(HEADER, header)
  local request_key, value, account_key, beside_key, account_section, totals_section, ghost_key, withheld, account_withheld
  arg, key = arg + 1, key + 1
  if flags % 2 == 1 then
    request_key, value = KEYS[key], ARGV[arg]
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

  local outcome = request_key and remembered(request_key, fingerprint)
  local mine = at <= #header or totals_section or withheld and #withheld > 0
  if not outcome and (mine or account_key) then
    local book, account, total_lost, total_charges, counts, lost
    if mine then
      book = judge(history_key, ghost_key, header, at, watched, now, reservation)
      if ghost_key and not book.lost then withhold(book, withheld, now, reservation) end
      lost = book.lost
    end
    if account_key or totals_section then
      local charge = (#header - at + 1 - watched * 16 + (withheld and #withheld or 0)) / 32
      if account_key then
        local account_watched, from = struct.unpack('<I2', account_section)
        account = judge(account_key, beside_key, account_section, from, account_watched, now, reservation)
        if account_withheld and not account.lost then withhold(account, account_withheld, now, reservation) end
        if not lost and account.lost then lost = account.lost < 0 and -1 or charge + account.lost end
        charge = charge + (#account_section - from + 1 - account_watched * 16 + (account_withheld and #account_withheld or 0)) / 32
      end
      if totals_section then
        total_lost, total_charges, counts = judge_totals(totals_section, now, ghost_key)
        if not lost and total_lost then lost = total_lost < 0 and -1 or charge + total_lost end
        -- Each charge leaves a receipt in the person's history, by which it can be moved or given back.
        for _, charged in ipairs(lost and {} or total_charges) do
          local side = charged[6] and book.ghost or book
          if side.n + charged[5] > MAX_ENTRIES then
            lost = charge
            break
          end
          for _ = 1, charged[5] do
            side.n, side.charges = side.n + 1, side.charges + 1
            side.kept[side.n] = struct.pack(ENTRY, charged[4], reservation, charged[3], charged[2])
            if charged[3] > side.last then side.last = charged[3] end
          end
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
  if not outcome then
    if request_key then redis.call('SET', request_key, value, 'PX', string.format('%.0f', horizon)) end
    outcome = 0
  end
  replies[claim] = outcome
end

for index, found in pairs(counters) do
  if found.dirty and not found.damaged then
    local ends, kept, last = {}, {}, found.now
    for bucket in pairs(found.buckets) do
      if bucket > found.now then ends[#ends + 1] = bucket end
    end
    table.sort(ends)
    for i, bucket in ipairs(ends) do kept[i] = struct.pack(BUCKET, bucket, found.buckets[bucket]) end
    if #ends > 0 then store(KEYS[index], table.concat(kept), ends[#ends], found.now) end
  end
end
return replies
