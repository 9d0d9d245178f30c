-- Make claims in order, each atomically over all its caps and its request_id.
-- KEYS: total counters; then for each claim its history key, its request key if it has one, its account's history if it names one (a ghost
--       claim: ghost, then real; of somebody partly held out: real, then ghost), and the ghost history of who is partly held out; last of
--       all what has the records of all of them, if they lie together
-- ARGV: heads; then for each claim the value to remember, the account's section, what is withheld, and what is withheld of the account, as
--       its flags say; then uses of total counters, and what is charged, each of them once; then watches; last of all <I2 claims>
--       <I2 total counters> <I2 uses> <I2 choices> <I2 watches> <B 1: records lie together> and the horizon in ms, as text
--   heads   for each claim <d now_ms> <B flags> <I2 which watch, from 1; 0: none> <I2 which choice> <I2 which use> <c8 reservation>
--   choice  for each charge <c8 cap> <d limit> <d live_until_ms> <d until_ms>
--   flags   1 has a request key | 2 names an account | 8 is a ghost's | 16 is of somebody partly held out: judged by both; 8: with 2 or 16
--   value   as in remembered.lua; the claim's record was stored before the script was sent
--   account <I2 which watch>, then charges as in a choice
--   use     for each total <I2 real counter> <I2 own counter> <d most> <d limit> <d bucket> <d receipt live_until_ms> <c8 receipt> <B charges>
--           (of somebody partly held out the own counter is the ghost one, and charges are 16 for each that is withheld, 1 for others)
--   withheld  charges as in a choice
--   watch   for each watched cap <c8 cap> <d most>
-- Reply: 0 all made, or for each claim: 0 made | {1, charge or -1 for a watched cap, history} | {2, response} | {3, response, record}
--       | 4 mismatch; a claim with an account or totals: {1, charge, history, account history, counts <d>...}
-- `remembered.lua`, `judging.lua` and `shared_caps.lua` stand before this.

local none, chosen = {}, {}
-- A choice's entries where nothing is counted yet, but for the reservation in each; false: they may not fit.
local function alone(choice)
  local plan = chosen[choice]
  if plan == nil then
    local section, at, counted = section_of(choice), 1, {}
    plan = {last = 0}
    while at <= #section do
      local cap, limit, live_until = unpack(CHARGE, section, at)
      if limit < 1 or counted[cap] then
        plan = false -- as those with something counted are judged
        break
      end
      counted[cap] = true
      plan[#plan + 1], plan[#plan + 2] = cap, sub(section, at + 16, at + 31)
      if live_until > plan.last then plan.last = live_until end
      at = at + 32
    end
    chosen[choice] = plan
  end
  return plan
end

-- Make a claim over one person's history, as mostly; return what a lost one is told, nil: it is made.
-- Receipts for totals are entries to add beside the choice's, the last of which ends at `last`.
local function make(key, watch, choice, now, heads, at, receipts, last_receipt)
  local raw = pcall('GET', key)
  if not raw then
    if watch > 0 and exceeded(watch, none) then return {1, -1, ''} end
    if choice == 0 and not receipts then return nil end
    local plan = alone(choice)
    if plan then
      local reservation, entries = sub(heads, at, at + 7), ''
      for i = 1, #plan, 2 do entries = entries .. plan[i] .. reservation .. plan[i + 1] end
      if receipts then
        entries = entries .. receipts
        if #entries / 32 > MAX_ENTRIES then return {1, 0, ''} end
      end
      store(key, entries, math.max(plan.last, last_receipt or now, now), now)
      return nil
    end
    raw = ''
  elseif type(raw) ~= 'string' then
    return {1, 0, '?'} -- another type of value: damaged
  elseif #raw % 32 ~= 0 then
    return {1, 0, raw} -- damaged: every cap counts as used up
  end
  local counts = {}
  local entries, last = read(raw, now, counts, now)
  if watch > 0 and exceeded(watch, counts) then return {1, -1, entries} end
  if choice == 0 and not receipts then return nil end
  local side = {entries = entries, last = last}
  local lost = take(side, counts, section_of(choice), 1, sub(heads, at, at + 7))
  if lost then return {1, lost, entries} end
  if receipts then
    side.entries, side.last, side.charges = side.entries .. receipts, math.max(side.last, last_receipt), side.charges + 1
    if #side.entries / 32 > MAX_ENTRIES then return {1, 0, entries} end
  end
  if side.charges > 0 then store(key, side.entries, side.last, now) end
end

local quick, general, replies, others, kept, key, arg, heads = nil, nil, {}, false, false, totals + 1, 2, ARGV[1]
for claim = 1, claims do
  local at = 23 * claim - 22
  local now, flags, watch, choice, use = unpack(HEAD, heads, at)
  local history_key, request_key, outcome, value, known = KEYS[key], nil, nil, nil, nil
  key = key + 1
  if flags % 2 == 1 then
    request_key, value = KEYS[key], ARGV[arg]
    -- Taken at once, and given up again below by a claim that is lost: one command where the request_id is new, as mostly.
    if not call('SET', request_key, value, 'PX', horizon, 'NX') then
      outcome, known = remembered(request_key, sub(value, 2, 9))
      outcome = outcome or 4
    end
    arg, key = arg + 1, key + 1
  end
  local duplicate = outcome
  if flags >= 2 or use > 0 then
    if not general then quick, general = shared(make) end
    if flags >= 2 or not duplicate and not quick(history_key, watch, choice, use, now, heads, at + 15) then
      local section, reservation = section_of(choice), sub(heads, at + 15, at + 22)
      outcome, key, arg = general(key, arg, flags, history_key, watch, section, use, now, reservation, duplicate)
      outcome = duplicate or outcome
    end
  elseif not duplicate and (watch > 0 or choice > 0) then
    outcome = make(history_key, watch, choice, now, heads, at + 15)
  end
  if not outcome then
    kept = kept or request_key
  else
    others = true
    if request_key then
      if not duplicate then call('DEL', request_key) end
      if together == 0 then
        -- Its record came before it, and nothing refers to that now.
        local name = sub(value, -16)
        if name ~= known then call('DEL', record_of(request_key, name)) end
      end
    end
  end
  replies[claim] = outcome or 0
end
-- Nor to those of others, where none of them is made.
if together == 1 and not kept then call('DEL', KEYS[#KEYS]) end

for index, found in pairs(counters) do
  if found.dirty and not found.damaged then
    local ends, kept, last = {}, {}, found.now
    for bucket in pairs(found.buckets) do
      if bucket > found.now then ends[#ends + 1] = bucket end
    end
    table.sort(ends)
    for i, bucket in ipairs(ends) do kept[i] = pack('<dd', bucket, found.buckets[bucket]) end
    if #ends > 0 then store(KEYS[index], table.concat(kept), ends[#ends], found.now) end
  end
end
return others and replies or 0
