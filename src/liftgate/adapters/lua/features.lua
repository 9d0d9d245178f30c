-- What events change of a person's features: a table of functions for the scripts that it stands before. Layouts: signals/cell.py.
--   apply(key, lives_ms, changes, at, upkeep)  changes the state at a key by the changes from `at` on; false: what was there was no
--                                              state, and it has been begun anew
--   close()                                    writes every changed state
-- changes  each <B how> <c8 cell> <d number> <c8 other cell> <d other number>
-- upkeep   <d longest state in bytes>, then what is of no more use: each <I4 series> <B 0 by slot, 1 by value, 2 never> <d least of use>
local features = (function()
local CHANGE, BOUND = '<Bc8dc8d', '<I4Bd'
local HEADER = '\0\0\0\0\1\0\0\0'
local MOST, REGISTERS = 9007199254740991, 256
local sub, find, pack, unpack_struct = string.sub, string.find, struct.pack, struct.unpack

-- Where a cell lies; the first four bytes of one find any cell of its series.
local function seek(state, cell, at)
  while true do
    at = find(state, cell, at, true)
    if not at or at % 16 == 1 then return at end
    at = at + 1
  end
end

local function number_at(state, at) return (unpack_struct('<d', state, at + 8)) end

local function put(state, at, cell, number)
  if not at then return state .. cell .. pack('<d', number) end
  return sub(state, 1, at + 7) .. pack('<d', number) .. sub(state, at + 16)
end

local function raise(state, cell, number)
  local at = seek(state, cell, 17)
  if at and number_at(state, at) >= number then return state end
  return put(state, at, cell, number)
end

local function distinct(state, cell, bucket, other, most)
  local series, registers = sub(cell, 1, 4), sub(other, 1, 4)
  local function register(slot, number)
    state = raise(state, registers .. pack('<I4', slot % REGISTERS), number)
  end
  local slot = unpack_struct('<I4', cell, 5)
  local kept = seek(state, registers, 17)
  if seek(state, cell, 17) then
    state = raise(state, cell, bucket)
  else
    local mine, at = {}, seek(state, series, 17)
    while at do
      mine[#mine + 1] = {unpack_struct('<I4', state, at + 4), number_at(state, at)}
      at = seek(state, series, at + 16)
    end
    if #mine < most then
      state = put(state, nil, cell, bucket)
    else
      if not kept then
        for _, each in ipairs(mine) do register(each[1], each[2]) end
        kept = true
      end
      local oldest = {slot, bucket}
      for _, each in ipairs(mine) do
        if each[2] < oldest[2] or (each[2] == oldest[2] and each[1] < oldest[1]) then oldest = each end
      end
      if oldest[1] ~= slot then
        local place = seek(state, series .. pack('<I4', oldest[1]), 17)
        state = sub(state, 1, place - 1) .. cell .. pack('<d', bucket) .. sub(state, place + 16)
      end
    end
  end
  if kept then register(slot, bucket) end
  return state
end

local function change(state, changes, at)
  while at <= #changes do
    local how, cell, number, other, more
    how, cell, number, other, more, at = unpack_struct(CHANGE, changes, at)
    if how == 0 then
      local place = seek(state, cell, 17)
      if place then number = number + number_at(state, place) end
      state = put(state, place, cell, math.max(math.min(number, MOST), -MOST))
    elseif how == 1 then
      state = raise(state, cell, number)
    elseif how == 4 then
      state = distinct(state, cell, number, other, more)
    else
      local place, second = seek(state, cell, 17), seek(state, other, 17)
      local wins = true
      if place then
        local before, value = number_at(state, place), second and number_at(state, second) or more
        if how == 2 then
          wins = number > before or (number == before and more > value)
        else
          wins = number < before or (number == before and more < value)
        end
      end
      if wins then
        state = put(state, place, cell, number)
        state = put(state, second, other, more)
      end
    end
  end
  return state
end

local function prune(state, upkeep, longest)
  local least, at = {}, 9
  while at <= #upkeep do
    local series, how, number
    series, how, number, at = unpack_struct(BOUND, upkeep, at)
    least[series] = {how, number}
  end
  local kept, crowded = {}, #state > longest
  for at = 17, #state, 16 do
    local series, slot, number = unpack_struct('<I4I4d', state, at)
    local bound = least[series]
    local stays = not crowded
    if bound then stays = bound[1] == 2 or (bound[1] == 0 and slot or number) >= bound[2] end
    if stays then kept[#kept + 1] = sub(state, at, at + 15) end
  end
  local cells = table.concat(kept)
  return HEADER .. pack('<d', #cells + 16) .. cells
end

local open, functions = {}, {}

function functions.apply(key, lives, changes, at, upkeep)
  local book, whole = open[key], true
  if not book then
    local state = redis.pcall('GET', key)
    if type(state) ~= 'string' or #state == 0 or #state % 16 ~= 0 or sub(state, 1, 8) ~= HEADER then
      whole = not state
      state = HEADER .. pack('<d', 16)
      book = {lives = 0}
    else
      -- PTTL is -1 where it never ends, which nothing of ours does.
      book = {lives = redis.call('PTTL', key)}
    end
    book.state = state
    open[key] = book
  end
  book.state = change(book.state, changes, at)
  if lives > book.lives then book.lives = lives end
  book.upkeep = upkeep
  return whole
end

function functions.close()
  for key, book in pairs(open) do
    local state, upkeep = book.state, book.upkeep
    local longest = unpack_struct('<d', upkeep)
    if #state > math.min(2 * number_at(state, 1) + 1024, longest) then state = prune(state, upkeep, longest) end
    redis.call('SET', key, state, 'PX', book.lives)
  end
end

return functions
end)()
