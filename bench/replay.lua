-- wrk sends the requests of the file $BENCH_REQUESTS, one a line, again from the top when they are used up: method, path,
-- body and any number of headers, separated by tabs. The figures go to $BENCH_REPORT.
local requests = {}
local threads = {}
used = 0

function setup(thread)
  threads[#threads + 1] = thread
end

function init(_)
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    local parts = {}
    for part in string.gmatch(line .. "\t", "([^\t]*)\t") do
      parts[#parts + 1] = part
    end
    local headers = {}
    for place = 4, #parts do
      local name, value = string.match(parts[place], "^([^:]+): (.*)$")
      headers[name] = value
    end
    local body = parts[3] ~= "" and parts[3] or nil
    requests[#requests + 1] = wrk.format(parts[1], parts[2], headers, body)
  end
end

function request()
  used = used + 1
  return requests[(used - 1) % #requests + 1]
end

function done(summary, latency, _)
  local sent = 0
  for _, thread in ipairs(threads) do
    sent = sent + thread:get("used")
  end
  local errors = summary.errors
  local report = io.open(os.getenv("BENCH_REPORT"), "w")
  report:write(string.format(
    '{"requests": %d, "sent": %d, "seconds": %f, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d, "max_us": %d}',
    summary.requests, sent, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
  report:close()
end
