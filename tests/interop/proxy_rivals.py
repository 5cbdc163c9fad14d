"""HTTP and TCP proxies before the same server, for measurements side by side: what is installed of a bare forwarder (the floor),
nginx, HAProxy and pgbouncer, and ours. Each listens on 127.0.0.1 on a port of its own, and is ended by its process id."""
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from dns_traffic import CLIENT_CORE, CORES, SERVER_CORE, cpu_s, memory_mb

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
LOAD = BUILD / "tests/load"
OURS = os.environ.get("ROLLCALL_PROXY", str(BUILD / "rollcall-proxy"))
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:" + os.environ.get("PATH", "")
ORIGIN_PORT, FIRST_PORT = 8000, 8100
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")  # not in all of Debian's packages of nginx
FILES_MAX = min(40000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def find(program):
    return shutil.which(program, path=PLACES)


def place(pid, cores):
    """All its threads and children."""
    for task in [pid, *children(pid)]:
        for thread in Path(f"/proc/{task}/task").glob("*"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def http(listen, workers, folder, to):
    """Configurations of all who speak HTTP: {name: command}."""
    log = folder / "access.log"
    (folder / "nginx.conf").write_text(_nginx_head(folder, workers) + f"""http {{
  access_log off; client_max_body_size 0; keepalive_requests 100000000; keepalive_timeout 600s;
  {" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
  upstream origin {{ server {to}; keepalive 512; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{listen["nginx"]} backlog=4096;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; proxy_max_temp_file_size 0; }} }}
}}
""")
    for name, splice in (("haproxy", ""), ("haproxy-splice", "option splice-auto")):
        (folder / f"{name}.cfg").write_text(_haproxy("http", workers, listen[name], to, f"{splice}\n  timeout http-keep-alive 600s", "http-reuse always"))
    for name, more in (("rollcall", ""), ("rollcall-log", f"; access_log file {log} json")):
        (folder / f"{name}.conf").write_text(f"""worker_threads {workers}
admin off
pool origin {{ static {to}; idle 60s }}
listen http 127.0.0.1:{listen[name]} {{ pool origin; keepalive 10m{more} }}
""")
    return _commands(folder, listen, to)


def tcp(listen, workers, folder, to):
    """The same for those who pass bytes on."""
    (folder / "nginx.conf").write_text(_nginx_head(folder, workers) + f"""
stream {{ server {{ listen 127.0.0.1:{listen["nginx"]}; tcp_nodelay on; proxy_pass {to}; }} }}
""")
    for name, splice in (("haproxy", ""), ("haproxy-splice", "option splice-auto")):
        (folder / f"{name}.cfg").write_text(_haproxy("tcp", workers, listen[name], to, splice, ""))
    for name, mode in (("rollcall", "tcp"), ("rollcall-pg", "postgres")):
        (folder / f"{name}.conf").write_text(f"""worker_threads {workers}
admin off
pool origin {{ static {to} }}
listen {mode} 127.0.0.1:{listen[name]} {{ pool origin }}
""")
    made = _commands(folder, listen, to)
    if not NGINX_STREAM.exists():
        made.pop("nginx", None)
    return made


def _nginx_head(folder, workers):
    return f"""{f"load_module {NGINX_STREAM};" if NGINX_STREAM.exists() else ""}
daemon off; pid {folder}/pid; error_log {folder}/error.log crit; user root; worker_processes {workers}; worker_rlimit_nofile {FILES_MAX};
events {{ worker_connections 12000; }}
"""


def _haproxy(mode, workers, port, to, defaults, backend):
    return f"""global
  nbthread {workers}
  no strict-limits
  maxconn 12000
defaults
  mode {mode}
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  {defaults}
frontend f
  bind 127.0.0.1:{port} backlog 4096
  default_backend b
backend b
  {backend}
  server s {to}
"""


def _commands(folder, listen, to):
    address, port = to.split(":")
    made = {
        "floor": [str(LOAD / "proxy_floor"), "127.0.0.1", str(listen["floor"]), address, port],
        "nginx": [find("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")],
        "haproxy": [find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")],
        "haproxy-splice": [find("haproxy"), "-db", "-f", str(folder / "haproxy-splice.cfg")],
    }
    for conf in folder.glob("rollcall*.conf"):
        made[conf.stem] = [OURS, "-config", str(conf)]
    return {name: command for name, command in made.items() if command[0] is not None}


class Peer:
    """One running proxy (or server)."""

    def __init__(self, name, command, port, cores=CORES, folder=None):
        self.name, self.port, self.log = name, port, (folder / f"{name}.said").open("wb") if folder else subprocess.DEVNULL

        def prepare():
            os.sched_setaffinity(0, cores)
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
        # one that makes a new session must not outlive us: tests/reaper.py sees to it
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, preexec_fn=prepare)
        self.pid = self.process.pid
        end = time.monotonic() + 10
        while not is_open(port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.end()
                raise RuntimeError(f"{name} does not listen: {' '.join(command)}")
            time.sleep(0.02)

    def cpu_s(self):
        return cpu_s(self.pid)

    def memory_mb(self):
        """Resident, of all its processes."""
        total = 0
        for pid in [self.pid, *children(self.pid)]:
            with contextlib.suppress(OSError):
                total += memory_mb(pid)[1]
        return total

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM if self.name != "rollcall" else signal.SIGINT)
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Peers:
    """Some of them at once, on one core or on all, before one server: `with Peers(...) as peers`."""

    def __init__(self, folder, names, workers=1, make=http, to=f"127.0.0.1:{ORIGIN_PORT}", first_port=FIRST_PORT):
        self.folder, self.workers, self.running = folder, workers, []
        folder.mkdir(parents=True, exist_ok=True)
        all_names = ("floor", "nginx", "haproxy", "haproxy-splice", "rollcall", "rollcall-log", "rollcall-pg")
        listen = {name: first_port + i for i, name in enumerate(all_names)}
        commands = make(listen, workers, folder, to)
        self.wanted = [(name, commands[name], listen[name]) for name in names if name in commands]

    def __enter__(self):
        try:
            for name, command, port in self.wanted:
                self.running.append(Peer(name, command, port, {SERVER_CORE} if self.workers == 1 else set(CORES), self.folder))
        except BaseException:
            self.__exit__()
            raise
        return self.running

    def __exit__(self, *_):
        for peer in self.running:
            peer.end()


def origin(cores=(CLIENT_CORE,), port=ORIGIN_PORT):
    return Peer("origin", [str(LOAD / "proxy_origin"), "127.0.0.1", str(port)], port, set(cores))
