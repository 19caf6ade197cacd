-- GET incident pages at random: the argument is how many there are.
local count = 1

function init(args)
  count = tonumber(args[1])
  math.randomseed(7)
  wrk.headers["Accept-Encoding"] = "gzip"
  wrk.headers["Host"] = "status.example.com"
end

function request()
  return wrk.format("GET", string.format("/incidents/past%08d", math.random(0, count - 1)))
end

function done(summary, latency)
  io.write(string.format("RESULT requests=%d micros=%d p99=%d bad=%d\n", summary.requests, summary.duration,
    latency:percentile(99), summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
