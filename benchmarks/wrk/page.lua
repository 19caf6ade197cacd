-- GET the page as browsers do; with "known" as argument, with the tag that was served: 304.
wrk.headers["Accept-Encoding"] = "gzip"
wrk.headers["Host"] = "status.example.com"

function init(args)
  if args[1] then
    wrk.headers["If-None-Match"] = args[1]
  end
end

function done(summary, latency)
  io.write(string.format("RESULT requests=%d micros=%d p99=%d bad=%d\n", summary.requests, summary.duration,
    latency:percentile(99), summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
