node_id = "0d1f0a44-6d4a-4a0e-9e58-0f4a8f4f6a11" encrypt = "cg8StVXbQJ0gPvMd9o7yrg==" node_meta { rack = "r1" }
addresses { http = "127.0.0.1 unix:///run/rollcall.sock" dns = "::1" } advertise_addr = "10.0.0.5" acl { enabled = true }
dns_config { soa { min_ttl = "2s" } udp_answer_limit = 3 only_passing = true } log_level = "WARN" recursors = ["10.0.0.2"]
check { id = "mem" name = "Memory" args = ["/bin/mem"] interval = "10s" } checks = [{ name = "t" ttl = "30s" service_id = "web" }]
ui_config { enabled = false } performance { raft_multiplier = 1 leave_drain_time = "1s" } telemetry { x = 1 } alt_domain = "svc.test"
