"""What a node of the lab is configured with; `vagrant up` writes the same files.

Every function returns text. Secrets are handed in, so that each lab has its own.
"""
import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field

from . import tokens

WEBAPP_PORT = 8000
GOSSIP_PORT = 8301
REDIS_PORT = 6379
FIGURES_PORT = 8801  # of rollcall-proxy, for Prometheus and the agents' page
CHECK_EVERY = "200ms"
CLUSTER = "main"  # of PostgreSQL


@dataclass(frozen=True)
class Secrets:
    gossip_key: str  # base64 of 32 bytes
    database: str  # password of the webapp's and the replication's user
    django: str
    redis: str = ""
    tokens: dict = field(default_factory=dict)  # by purpose (tokens.py); none: everybody may do everything

    @classmethod
    def derived(cls, seed):
        """All secrets of a lab from one, so that its nodes need not be told more: who has the seed has all."""
        def made(purpose):
            return hmac.new(seed.encode(), purpose.encode(), hashlib.sha256).digest()
        return cls(base64.b64encode(made("gossip")).decode(), made("database").hex(), made("django").hex(), made("redis").hex(),
                   {purpose: str(uuid.UUID(bytes=made(f"token {purpose}")[:16], version=4)) for purpose in tokens.POLICIES})


@dataclass(frozen=True)
class Places:
    """Where things are on the node."""
    data: str  # the agent's folder
    logs: str
    tls: str = ""  # ca.pem, node.pem and node.key, for etcd's members and their clients
    etcd: str = ""  # etcd's folder
    postgres: str = ""  # PostgreSQL's folder, of the user postgres; "": the agent keeps no server
    postgres_programs: str = "/usr/lib/postgresql/15/bin"
    warden_is_unit: bool = False  # of systemd
    proxy_tls: str = ""  # node.pem and node.key for visitors; "": those of `tls`
    redis_password: str = "/etc/rollcall/redis.password"  # for the agent's check


def place(address, port):
    """ADDRESS:PORT, as URLs and our configurations have it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def agent(inventory, node, secrets, places):
    """agent.hcl: what Consul's users know, in the block syntax."""
    peers = ", ".join(f'"{place(other.address, GOSSIP_PORT)}"' for other in inventory.nodes if other.server and other != node)
    servers = sum(other.server for other in inventory.nodes)
    lines = [
        f'node_name = "{node.name}"',
        f'datacenter = "{inventory.datacenter}"',
        f'domain = "{inventory.domain}"',
        f'data_dir = "{places.data}"',
        f'bind_addr = "{node.address}"',
        f'client_addr = "{" ".join(_listens(node, secrets))}"',
        f'encrypt = "{secrets.gossip_key}"',
        f"retry_join = [{peers}]",
        'retry_interval = "1s"',
        'profile = "fast"',
        'log_level = "info"',
    ]
    if secrets.tokens:
        lines += ["acl {", "  enabled = true", "  tokens {", f'    agent = "{secrets.tokens["agent"]}"',
                  f'    dns   = "{secrets.tokens["dns"]}"', "  }", "}"]
    if node.server:
        lines += ["server = true", f"bootstrap_expect = {servers}", *_store(inventory, node, places)]
    if "postgres" in node.runs and places.postgres:
        lines += _postgres(node, places)
    return "\n".join(lines) + "\n"


def _listens(node, secrets):
    """Where the API and DNS answer: with tokens in force to the other nodes too, adm1's Prometheus first of all."""
    return ["127.0.0.1", *(node.addresses if secrets.tokens else ())]


def _store(inventory, node, places):
    """The store of a server: etcd where it runs, else SQLite on the first."""
    members = inventory.running("etcd")
    if not members:
        first = next(other for other in inventory.nodes if other.server)
        return [f'store {{ engine = "{"sqlite" if node == first else "none"}" }}']
    nearest_first = sorted(members, key=lambda member: member.address != node.address)
    endpoints = ", ".join(f'"https://{place(member.address, 2379)}"' for member in nearest_first)
    return ["store {", '  engine    = "etcd"', f"  endpoints = [{endpoints}]", f'  ca_file   = "{places.tls}/ca.pem"',
            f'  cert_file = "{places.tls}/node.pem"', f'  key_file  = "{places.tls}/node.key"', "}"]


def _postgres(node, places):
    """The server beside the agent, which the agent keeps: it makes it, starts it, and decides with the others who is primary."""
    folder = places.postgres
    warden = ["  start_warden = false"] if places.warden_is_unit else []
    return ["postgres {", f'  cluster    = "{CLUSTER}"', f'  address    = "{node.address}"', f'  data_dir   = "{folder}/main"',
            f'  bin_dir    = "{places.postgres_programs}"', f'  hba_file   = "{folder}/pg_hba.conf"', '  mode       = "sync"',
            f'  socket_dir = "{folder}"', f'  password_file = "{folder}/password"', f'  replication_password_file = "{folder}/password"',
            "  initialize = true", *warden, "}"]


def etcd(inventory, node, places):
    """The environment of a member of etcd, as Debian's /etc/default/etcd has it: TLS with client certificates everywhere."""
    client, peer = f"https://{place(node.address, 2379)}", f"https://{place(node.address, 2380)}"
    settings = {
        "NAME": node.name,
        "DATA_DIR": places.etcd,
        "LISTEN_CLIENT_URLS": client,
        "ADVERTISE_CLIENT_URLS": client,
        "LISTEN_PEER_URLS": peer,
        "INITIAL_ADVERTISE_PEER_URLS": peer,
        "INITIAL_CLUSTER": ",".join(f"{other.name}=https://{place(other.address, 2380)}" for other in inventory.running("etcd")),
        "INITIAL_CLUSTER_TOKEN": "rollcall-lab",
        "LOG_OUTPUTS": "stderr",
        "PRE_VOTE": "true",
    }
    for side in ("", "PEER_"):
        settings |= {f"{side}TRUSTED_CA_FILE": f"{places.tls}/ca.pem", f"{side}CERT_FILE": f"{places.tls}/node.pem",
                     f"{side}KEY_FILE": f"{places.tls}/node.key", f"{side}CLIENT_CERT_AUTH": "true"}
    return {f"ETCD_{key}": value for key, value in settings.items()}


def services(node, places):
    """services.hcl: what runs here and how its health is told."""
    blocks = []
    if "todomvc" in node.runs:
        blocks.append(f"""\
service {{
  name    = "todomvc"
  address = "{node.address}"
  port    = {WEBAPP_PORT}
  check {{
    name     = "the webapp answers"
    http     = "http://{place(node.address, WEBAPP_PORT)}/health"
    interval = "{CHECK_EVERY}"
    timeout  = "1s"
  }}
  check {{
    name     = "the webapp reads and writes its database"
    http     = "http://{place(node.address, WEBAPP_PORT)}/_health"
    interval = "3s"
    timeout  = "10s"
    failures_before_critical = 2
  }}
}}
""")
    if "redis" in node.runs:
        blocks.append(f"""\
service {{
  name    = "redis"
  address = "{node.address}"
  port    = {REDIS_PORT}
  check {{
    name                = "redis answers, and takes writes"
    redis               = "127.0.0.1:{REDIS_PORT}"
    redis_role          = "master"
    redis_password_file = "{places.redis_password}"
    interval            = "1s"
    timeout             = "1s"
  }}
}}
""")
    return "".join(blocks)


def redis(node, secrets):
    """redis.conf, over the package's own where there is one: a cache of the webapps', for who has its password."""
    return f"""\
bind 127.0.0.1 {" ".join(node.addresses)}
port {REDIS_PORT}
requirepass {secrets.redis}
maxmemory 64mb
maxmemory-policy allkeys-lru
"""


def proxy(node, secrets, places):
    """proxy.conf of a web node: the webapp for visitors, the database for the webapp."""
    token = f"; token {secrets.tokens['proxy']}" if secrets.tokens else ""
    tls = places.proxy_tls or places.tls
    visitors = "".join(f"""\
listen http {where}:80 {{
    route / {{ pool todomvc }}
    access_log file {places.logs}/access.log
}}
listen http {where}:443 {{
    tls {{ certificate {tls}/node.pem key {tls}/node.key }}
    route / {{ pool todomvc }}
    access_log file {places.logs}/access.log
}}
""" for where in ("0.0.0.0", "[::]"))
    return f"""\
admin 127.0.0.1:8800
figures {place(node.address, FIGURES_PORT)}
drain_timeout 5s

discovery agent {{ address 127.0.0.1:8500{token}; register }}
discovery dns   {{ servers 127.0.0.1:8600 }}

pool todomvc {{
    from agent service todomvc
    balance round_robin
}}

pool postgres {{
    from agent postgres {CLUSTER}
}}

{visitors}
listen postgres 127.0.0.1:5432 {{ pool postgres; target primary; wait_for_primary 30s }}
listen postgres 127.0.0.1:5433 {{ pool postgres; target standby; fallback primary }}
"""


def write(inventory, node, secrets, places, folder):
    """Writes the files of one node: agent.hcl, readable by its owner and group only (it holds the
    gossip key), services.hcl, etcd.env where a member of etcd runs, and on web nodes proxy.conf beside the folder's `*.hcl`."""
    _write_secret(folder / "agent.hcl", agent(inventory, node, secrets, places))
    (folder / "services.hcl").write_text(services(node, places))
    if "etcd" in node.runs:
        lines = (f"{key}={value}\n" for key, value in etcd(inventory, node, places).items())
        (folder / "etcd.env").write_text("".join(lines))
    if "redis" in node.runs:
        _write_secret(folder / "redis.conf", redis(node, secrets))
        _write_secret(folder / "redis.password", secrets.redis + "\n")
    if "proxy" in node.runs:
        _write_secret(folder / "proxy.conf", proxy(node, secrets, places))


def _write_secret(file, text):
    file.touch(mode=0o640)
    file.write_text(text)


def webapp_environment(node, secrets):
    return {
        "TODOMVC_NODE": node.name,
        "TODOMVC_SECRET_KEY": secrets.django,
        "TODOMVC_DB_PASSWORD": secrets.database,
    }


def postgres_access(inventory):
    """pg_hba.conf: the probe may log in without a password, and has no rights at all; who replicates may read what a rewind needs."""
    inside = "".join(f"""\
host    all          rollcall_probe  {network}  trust
host    all          postgres        {network}  scram-sha-256
host    todomvc      todomvc         {network}  scram-sha-256
host    replication  replicator      {network}  scram-sha-256
host    postgres     replicator      {network}  scram-sha-256
""" for network in inventory.networks)
    return f"""\
# type  database     user            address        method
local   all          postgres                       peer
local   all          rollcall                       scram-sha-256
{inside}"""


def hosts(inventory):
    """/etc/hosts of every node."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {node.name}" for node in inventory.nodes for address in node.addresses]
    return "\n".join(lines) + "\n"


def webapp_bind(node):
    return place(node.address, WEBAPP_PORT)


def postgres_roles(secrets):
    """SQL for the superuser on the first primary: who may log in, and the webapp's database. Once."""
    return f"""\
SET synchronous_commit = local; -- the standby may not be there yet
ALTER ROLE postgres PASSWORD '{secrets.database}';
CREATE ROLE rollcall_probe LOGIN;
CREATE ROLE todomvc LOGIN PASSWORD '{secrets.database}';
CREATE DATABASE todomvc OWNER todomvc;
"""
