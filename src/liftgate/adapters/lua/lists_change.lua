-- Puts a person on a do-not-contact list or takes them off it.
-- KEYS[1] membership; ARGV[1] "1": on, "0": off; ARGV[2] the list.
-- Returns 1: changed, 0: it was so already, -1: what is stored cannot be read, and stays as it is.
local raw = redis.call('GET', KEYS[1])
local found = false
local names = {}
if raw then
  local first = true
  for line in (raw .. '\n'):gmatch('(.-)\n') do
    if first then
      if line ~= 'lists1' then return -1 end
      first = false
    elseif line == '' then
      return -1
    elseif line == ARGV[2] then
      found = true
    else
      names[#names + 1] = line
    end
  end
end
if found == (ARGV[1] == '1') then return 0 end
if ARGV[1] == '1' then names[#names + 1] = ARGV[2] end
table.sort(names)
if #names == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], 'lists1\n' .. table.concat(names, '\n'))
end
return 1
