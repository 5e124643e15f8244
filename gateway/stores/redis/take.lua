-- Every limit of one request, charged in one step or not at all; the arithmetic of gateway/model/rate.py.
--
-- KEYS: one for each limit. ARGV[1]: what to do, `t` to take, `f` to charge without refusing, `b` to give
-- back; the time in microseconds may follow, else it is the server's. Then for each limit a packed argument:
-- kind (0 GCRA, 1 window), cost, lifetime of the key in milliseconds, window, and of GCRA the interval and
-- the burst's time, of a window the quota and the width of a slot (0: every hit is remembered).
-- Reply: 1 or 0, then for each limit how long to wait, what remains, when there is more; to `b`, 2 alone.
--
-- GCRA is kept as its arrival. A window is a string of entries of 11 bytes, each a time (7) and a count
-- modulo 2^32 (4): first the window's length and what was counted before the first hit, then for each hit
-- when it stops counting and what was counted up to it. So the sum of any entries is one subtraction.
local call, floor, sub = redis.call, math.floor, string.sub
local pack, read = struct.pack, struct.unpack
local ENTRY, EXPIRY, ROUND = '>I7I4', '>I7', 4294967296

local order = ARGV[1]
local now
if #order == 1 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = sub(order, 2) + 0
  order = sub(order, 1, 1)
end
local forced = order == 'f'
local back = order == 'b'

-- After a reload or a step back of the clock: what still counts goes on for the window as it is now, and
-- nothing counts longer than a hit of now would.
local function regauged(value, hits, length, latest)
  local old, base = read(ENTRY, value)
  local _, total = read(ENTRY, value, 11 * hits + 1)
  local kept = {}
  for hit = 1, hits do
    local expiry, upto = read(ENTRY, value, 11 * hit + 1)
    local moved = expiry + length - old
    if expiry <= now or moved <= now then
      base = upto
    elseif moved >= latest then
      kept[#kept + 1] = pack(ENTRY, latest, total)
      break
    else
      kept[#kept + 1] = pack(ENTRY, moved, upto)
    end
  end
  if #kept == 0 then return false end
  return pack(ENTRY, length, base) .. table.concat(kept)
end

local stored = call('MGET', unpack(KEYS))
local taken, refused, at = {1}, {0}, 2
local values, lifetimes = {}, {}
local admitted = true
for i = 1, #KEYS do
  local key = KEYS[i]
  local kind, cost, lifetime, length, a, b = read('>BI7I7I7I7I7', ARGV[i + 1])
  local value = stored[i]
  local wait, after, before = 0, 0, 0
  local more, reset = 0, 0
  if kind == 0 then
    local spent = cost * a
    local ahead = value and value - now or 0
    if ahead < 0 then
      ahead = 0
    elseif ahead > b then
      ahead = b
      call('SET', key, now + b, 'PX', lifetime)
    end
    local new = ahead + spent
    if back then
      new = ahead > spent and ahead - spent or 0
    elseif new > b then
      wait = spent > b and length or new - b
      if forced then new = b end
    end
    before, reset = floor((b - ahead) / a), ahead
    after, more = floor((b - new) / a), new
    values[i] = new > 0 and now + new
  else
    local latest = b == 0 and now + length or (floor(now / b) + 65) * b
    local hits, first, base, total, used = 0, 1, 0, 0, 0
    local last, ends
    if value then
      if #value % 11 ~= 0 then return redis.error_reply('WRONGTYPE a key holds no window') end
      hits = #value / 11 - 1
      last, total = read(ENTRY, value, 11 * hits + 1)
      ends, base = read(ENTRY, value)
      if last > latest or ends ~= length then
        value = regauged(value, hits, length, latest)
        hits, base, total = 0, 0, 0
        if value then
          call('SET', key, value, 'PX', lifetime)
          hits = #value / 11 - 1
          last, total = read(ENTRY, value, 11 * hits + 1)
          ends, base = read(ENTRY, value)
        else
          call('DEL', key)
        end
      end
    end
    if hits > 0 then
      ends = read(EXPIRY, value, 12)
      if ends <= now then
        -- The first hit that still counts; one behind the last when none does.
        local low, high = 2, hits + 1
        while low < high do
          local middle = floor((low + high) / 2)
          if read(EXPIRY, value, 11 * middle + 1) > now then high = middle else low = middle + 1 end
        end
        first = low
        ends, base = read(ENTRY, value, 11 * first - 10)
        if first <= hits then ends = read(EXPIRY, value, 11 * first + 1) end
      end
      used = (total - base) % ROUND
    end
    local lives = first <= hits
    local needed = used + cost - a
    if back then
      -- The newest go: the last that stays is the first with which enough is counted.
      local rest, low, high = used - cost, first, hits
      while low < high do
        local middle = floor((low + high) / 2)
        local _, upto = read(ENTRY, value, 11 * middle + 1)
        if (upto - base) % ROUND >= rest then high = middle else low = middle + 1 end
      end
      values[i] = lives and rest > 0 and pack(ENTRY, length, base) .. sub(value, 11 * first + 1, 11 * low)
        .. pack(ENTRY, read(EXPIRY, value, 11 * low + 1), (base + rest) % ROUND)
    elseif cost > a then
      wait = length
    elseif needed > 0 then
      -- The hit with which enough have stopped counting.
      local low, high = first, hits
      while low < high do
        local middle = floor((low + high) / 2)
        local _, upto = read(ENTRY, value, 11 * middle + 1)
        if (upto - base) % ROUND >= needed then high = middle else low = middle + 1 end
      end
      wait = read(EXPIRY, value, 11 * low + 1) - now
    end
    before = used < a and a - used or 0
    after = needed < 0 and -needed or 0
    reset = lives and ends - now or 0
    more = lives and reset or latest - now
    if not back and (wait == 0 or forced) then
      local entry = pack(ENTRY, latest, (total + cost) % ROUND)
      local stop = lives and last == latest and -12 or -1
      if not lives then
        values[i] = pack(ENTRY, length, total) .. entry
      elseif first == 1 then
        values[i] = sub(value, 1, stop) .. entry
      else
        values[i] = pack(ENTRY, length, base) .. sub(value, 11 * first + 1, stop) .. entry
      end
    end
  end
  if wait > 0 then admitted = false end
  lifetimes[i] = lifetime
  taken[at], taken[at + 1], taken[at + 2] = 0, after, more
  refused[at], refused[at + 1], refused[at + 2] = wait, before, reset
  at = at + 3
end
if not admitted and not forced then return refused end
for i = 1, #KEYS do
  if values[i] then
    call('SET', KEYS[i], values[i], 'PX', lifetimes[i])
  else
    call('DEL', KEYS[i])
  end
end
return back and {2} or taken
