"""The Lua scripts that issue, redeem, withdraw and restore codes.

All keys of a number are in one slot of a cluster, and each change is one script. A script may be sent again after a
lost connection. It then finds what it has done, and returns the same result.
"""

# KEYS[1]: codes of a number. A list, the newest last, each:
# id, digest, ends (ms), network (of the client), left (guesses by number), closed (by number), used, ways (challenges).
LOAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('GET', KEYS[1])
local codes = {}
for _, code in ipairs(stored and cjson.decode(stored) or {}) do
  if code.ends > now then codes[#codes + 1] = code end
end
local function save()
  local last = now
  for _, code in ipairs(codes) do last = math.max(last, code.ends) end
  if last == now then return redis.call('DEL', KEYS[1]) end
  redis.call('SET', KEYS[1], cjson.encode(codes), 'PX', last - now)
end
local function number_of(key) return tonumber(redis.call('GET', key) or '0') end
local function count(key, window)
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, window) end
end
"""
# KEYS: codes, resend lock, hour count, day count, count of the own devices. ARGV: id, digest, lifetime ms, lock ms,
# hourly limit, daily limit, limit of the own devices (0 for any other), digest of the new challenge, digest of the
# challenge that the client has, network, guesses, most challenges of a code, 1 for an own device.
# Returns {1, 0, 0} for a new code, {2, ms until it expires, ms to wait} for one sent before, {0, 0, ms to wait}.
ISSUE = (
    LOAD
    + """
for _, code in ipairs(codes) do
  if code.id == ARGV[1] then return {1, 0, 0} end
end
local wait, is_own = math.max(0, redis.call('PTTL', KEYS[2])), false
if wait == 0 then
  for i = 3, 4 do
    if number_of(KEYS[i]) >= tonumber(ARGV[i + 2]) then wait = math.max(1, wait, redis.call('PTTL', KEYS[i])) end
  end
  if wait > 0 and number_of(KEYS[5]) < tonumber(ARGV[7]) then wait, is_own = 0, true end
end
if wait == 0 then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
  if is_own then
    count(KEYS[5], 86400000)
  else
    count(KEYS[3], 3600000)
    count(KEYS[4], 86400000)
  end
  for _, code in ipairs(codes) do
    if code.network == ARGV[10] then code.closed = code.closed or ARGV[1] end
    for i, way in ipairs(code.ways) do
      if way.token == ARGV[9] and not way.gone then
        way.gone = ARGV[1]
        if i == 1 then code.closed = code.closed or ARGV[1] end
      end
    end
  end
  if #codes >= 16 then table.remove(codes, 1) end
  local way = {token = ARGV[8], network = ARGV[10], left = tonumber(ARGV[11])}
  codes[#codes + 1] = {id = ARGV[1], digest = ARGV[2], ends = now + ARGV[3], network = ARGV[10],
    left = tonumber(ARGV[11]), own = is_own, ways = {way}}
  save()
  return {1, 0, 0}
end
local newest = codes[#codes]
if not newest or newest.used then return {0, 0, wait} end
for _, code in ipairs(codes) do
  for _, way in ipairs(code.ways) do
    if way.token == ARGV[8] then return {2, newest.ends - now, wait} end
    if way.token == ARGV[9] and way.left > 0 and not way.gone and not code.used then return {0, 0, wait} end
  end
end
for _, way in ipairs(newest.ways) do
  if way.network == ARGV[10] and ARGV[13] ~= '1' then return {0, 0, wait} end
end
if #newest.ways >= tonumber(ARGV[12]) then return {0, 0, wait} end
newest.ways[#newest.ways + 1] = {token = ARGV[8], network = ARGV[10], left = tonumber(ARGV[11])}
save()
return {2, newest.ends - now, wait}
"""
)
# KEYS as before. ARGV: id. Undoes the issue of this code.
WITHDRAW = (
    LOAD
    + """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
for i = #codes, 1, -1 do
  local code = codes[i]
  if code.id == ARGV[1] then
    for j = code.own and 5 or 3, code.own and 5 or 4 do
      if number_of(KEYS[j]) > 0 then redis.call('DECR', KEYS[j]) end
    end
    table.remove(codes, i)
  else
    if code.closed == ARGV[1] then code.closed = nil end
    for _, way in ipairs(code.ways) do
      if way.gone == ARGV[1] then way.gone = nil end
    end
  end
end
save()
return 0
"""
)
# KEYS: codes. ARGV: digest of the guess, id of this guess, digest of the challenge or ''.
# Returns for a right code the ms until it would have expired, otherwise 0.
REDEEM = (
    LOAD
    + """
local function take(code, way)
  if code.used then return code.used == ARGV[2] and code.digest == ARGV[1] end
  if way.last ~= ARGV[2] then
    if way.left <= 0 then return false end
    way.left, way.last = way.left - 1, ARGV[2]
  end
  if code.digest ~= ARGV[1] then return false end
  code.used = ARGV[2]
  return true
end
local function keep(rest)
  if stored and #codes > 0 then redis.call('SET', KEYS[1], cjson.encode(codes), 'KEEPTTL') end
  return rest
end
for _, code in ipairs(codes) do
  for _, way in ipairs(code.ways) do
    if way.token == ARGV[3] and not way.gone and (code.used or ARGV[2]) == ARGV[2] then
      return keep(take(code, way) and code.ends - now or 0)
    end
  end
end
for i = #codes, 1, -1 do
  if not codes[i].closed and take(codes[i], codes[i]) then return keep(codes[i].ends - now) end
end
return keep(0)
"""
)
# KEYS: codes. ARGV: digest, ms, id, guesses. Makes a used code valid again, or stores a new one for these ms.
RESTORE = (
    LOAD
    + """
for _, code in ipairs(codes) do
  if code.digest == ARGV[1] and code.used then
    for _, way in ipairs({code, unpack(code.ways)}) do
      if way.last == code.used then way.left, way.last = way.left + 1, nil end
    end
    code.used = nil
    save()
    return 0
  end
end
codes[#codes + 1] = {id = ARGV[3], digest = ARGV[1], ends = now + ARGV[2], network = '', left = tonumber(ARGV[4]),
  ways = {}}
save()
return 0
"""
)
