-- Claims over more than one history: an account's, everybody's, a ghost's beside a real one. `judging.lua` stands before this.

-- Total counters, read once and written once a call.
local counters = {}

-- Return what makes claims over more than one history, and what makes those over one and over totals, as `make` does those over one alone.
-- Few calls need them, and their parts take time to be defined.
local function shared(make)
  local TOTAL, BUCKET, DAMAGED = '<I2I2ddddc8B', '<dd', 9007199254740992

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

  local function charge_total(index, bucket, count, now)
    local own = counter(index, now)
    own.buckets[bucket] = (own.buckets[bucket] or 0) + count
    if bucket > now and not own.damaged then own.used = own.used + count end
    own.dirty = true
  end

  local function used_of(use) return ARGV[#ARGV - 1 - watches - choices - uses + use] end

  local plans = {}
  -- Uses of total counters, read once for all claims that have them: what is watched, and what is charged.
  local function plan_of(use)
    local plan, section, at = {real = {}, most = {}, last = 0}, used_of(use), 1
    while at <= #section do
      local real, own, most, limit, bucket, receipt_until, receipt, count
      real, own, most, limit, bucket, receipt_until, receipt, count, at = unpack(TOTAL, section, at)
      -- Room for the charges is a matter of what is used before them, too.
      plan.real[#plan.real + 1], plan.most[#plan.most + 1] = real, count > 0 and math.min(most, limit - count) or most
      if count > 0 then
        plan[#plan + 1] = {own = own, bucket = bucket, count = count, receipt = receipt, suffix = pack(BUCKET, receipt_until, bucket)}
        if receipt_until > plan.last then plan.last = receipt_until end
      end
    end
    plans[use] = plan
    return plan
  end

  -- Make a claim over one person's history and over totals where all have room, as mostly. Return whether it is made; else nothing has changed.
  local function quick(key, watch, choice, use, now, heads, at)
    local plan = plans[use] or plan_of(use)
    for i, real in ipairs(plan.real) do
      if counter(real, now).used > plan.most[i] then return false end
    end
    if #plan == 0 then return not make(key, watch, choice, now, heads, at) end
    local reservation, receipts = sub(heads, at, at + 7), ''
    for _, charged in ipairs(plan) do
      local receipt = charged.receipt .. reservation .. charged.suffix
      receipts = receipts .. (charged.count == 1 and receipt or string.rep(receipt, charged.count))
    end
    if make(key, watch, choice, now, heads, at, receipts, plan.last) then return false end
    for _, charged in ipairs(plan) do charge_total(charged.own, charged.bucket, charged.count, now) end
    return true
  end

  -- Returns what a claim is told that is not made, nil: it is; and the places of the next claim's keys and arguments.
  return quick, function(key, arg, flags, history_key, watch, section, use, now, reservation, duplicate)
    local account_key, beside_key, account_section, totals_section, ghost_key, withheld, account_withheld
    if flags % 4 >= 2 then
      account_key, account_section = KEYS[key], ARGV[arg]
      arg, key = arg + 1, key + 1
      if flags >= 8 then
        beside_key = KEYS[key]
        key = key + 1
      end
    end
    if use > 0 then totals_section = used_of(use) end
    if flags >= 16 then
      ghost_key, withheld = KEYS[key], ARGV[arg]
      key, arg = key + 1, arg + 1
      if account_key then
        account_withheld = ARGV[arg]
        arg = arg + 1
      end
    end
    local mine = watch > 0 or #section > 0 or totals_section or withheld and #withheld > 0
    if duplicate or not (mine or account_key) then return nil, key, arg end

    local book, account, total_lost, total_charges, counts, lost
    if mine then
      book = judge(history_key, ghost_key, section, 1, watch, now, reservation)
      if ghost_key and not book.lost then withhold(book, withheld, now, reservation) end
      lost = book.lost
    end
    local charge = (#section + (withheld and #withheld or 0)) / 32
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
    if lost then
      if not (account_key or totals_section) then return {1, lost, shown(book, now)}, key, arg end
      return {1, lost, book and shown(book, now) or '', account and shown(account, now) or '', counts or ''}, key, arg
    end
    keep(book, history_key, ghost_key, now)
    keep(account, account_key, beside_key, now)
    for _, charged in ipairs(total_charges or {}) do charge_total(charged[1], charged[2], charged[5], now) end
    return nil, key, arg
  end
end
