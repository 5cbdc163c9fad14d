# /etc/rollcall/rollcall.hcl: the agent of this machine; rollcall(1) explains every setting.
# All *.hcl and *.json of this folder are read, in order of name. `rollcall validate /etc/rollcall` looks at them.

# As installed it is alone and is heard by nobody: http://127.0.0.1:8500/ui and dig @127.0.0.1 -p 8600.
data_dir  = "/var/lib/rollcall"
bind_addr = "127.0.0.1"

# A node of a pool instead: its address, the key that `rollcall keygen` prints (the same everywhere), whom to ask.
# bind_addr  = "10.0.0.21"
# encrypt    = "..."
# retry_join = ["10.0.0.10", "10.0.0.11"]

# What this machine offers: it is found as web.service.rollcall while the check passes.
# service {
#   name = "web"
#   port = 8000
#   check { http = "http://127.0.0.1:8000/health"  interval = "1s" }
# }
