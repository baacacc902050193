-- One line of JSON for load.py: what wrk counted, times in microseconds. An error is whatever is no answer below 400.
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local form = '{"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p50":%d,"p95":%d,"p99":%d}\n'
  io.write(string.format(form, summary.requests, summary.duration, summary.bytes, failed,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
