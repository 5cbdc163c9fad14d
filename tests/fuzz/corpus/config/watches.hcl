enable_script_handlers = true
watches = [
  { type = "service" service = "web" tag = ["a", "b"] passingonly = true args = ["/bin/true"] },
  { type = "checks" state = "critical" handler = "cat >/dev/null" token = "t" },
  { type = "event" name = "e" handler_type = "http" http_handler_config { path = "https://x.test/" header { A = ["b"] } timeout = "1s" } },
  { type = "query" name = "q" args = ["uptime"] timeout = "2s" },
]
