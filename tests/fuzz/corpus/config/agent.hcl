# an agent
node_name = "web1"
server    = false
retry_join = ["10.0.0.1", "adm1:8301",]
ports { http = 8500, dns = 8600 }
dns_config {
  service_ttl { "*" = "5s" web = "30s" }
}
service "web" {
  port = 80
  tags = ["v1", "primary"]
  check {
    args     = ["/bin/sh", "-c", <<-EOF
      echo one
        echo two
      EOF
    ]
    interval = "1s"
  }
}
services { name = "a" }
services { name = "b" weights = { passing = 2, warning = 1.5e1 } }
/* the
   end */ // now
