"""What tests of programs that find services by DNS share: web applications behind two agents, and those programs.

All is in a network namespace with nothing but loopback. The agents answer DNS at 127.0.0.1, one at port 8600 and one, for
programs that know no other, at port 53; the second knows what it answers by gossip only. Configurations are those of
rollcall-dns(7)."""
import contextlib
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import serf_pool
from patience import patient
from store_agents import ROOT, Agent, until

NAME = "web.service.rollcall"
PORT = 8000
PAGE = ROOT / "agent/rollcall-dns.7"
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
FOLLOWS = 20  # seconds within which a consumer knows of a change, if the machine is idle
DNS = {"service_ttl": {"*": "1s"}, "soa": {"min_ttl": 1}}


class App:
    """An instance: a small HTTP server that says its name."""

    def __init__(self, name, address):
        self.name, self.address, self.server = name, address, None
        self.start()

    def start(self):
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self):
                body = app.name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server((self.address, PORT), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """Its port refuses."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def service(self):
        """Whether it is there is looked at; how it is, a test says."""
        checks = [{"CheckID": f"there-{self.name}", "HTTP": f"http://{self.address}:{PORT}/", "Interval": "200ms", "Timeout": "10s",
                   "Status": "passing"}, {"CheckID": f"well-{self.name}", "TTL": "1h", "Status": "passing"}]
        return {"ID": f"web-{self.name}", "Name": "web", "Address": self.address, "Port": PORT, "Checks": checks}


class House:
    """Three applications, two agents."""

    def __init__(self, folder):
        self.folder, self.programs = folder, []
        self.apps = {name: App(name, f"127.0.1.{i + 1}") for i, name in enumerate("abc")}
        self.first = Agent(folder / "n1", "n1", "127.0.0.1", **{"ports": {"dns": 8600}, "dns_config": DNS})
        self.second = Agent(folder / "n2", "n2", "127.0.0.2", 
                            **{"ports": {"dns": 53}, "addresses": {"dns": "127.0.0.1"}, "dns_config": DNS, "retry_join": ["127.0.0.1"]})
        for agent in (self.first, self.second):
            agent.start()
            until(lambda agent=agent: agent.call("GET", "/v1/agent/self").status == 200)

    def begin_anew(self):
        """All are up, and registered anew: a check that keeps falling is believed later and later."""
        for app in self.apps.values():
            self.first.call("PUT", f"/v1/agent/service/deregister/web-{app.name}")
            if app.server is None:
                app.start()
            assert self.first.call("PUT", "/v1/agent/service/register", app.service()).status == 200
        self.known(*self.apps)

    @property
    def addresses(self):
        return {app.address: name for name, app in self.apps.items()}

    def passing(self, agent):
        found = agent.call("GET", "/v1/health/service/web?passing").json
        return sorted(self.addresses[each["Service"]["Address"]] for each in found)

    def well(self, *names):
        """Those, and no others, are up; both agents know it."""
        for name, app in self.apps.items():
            state = {"Status": "passing" if name in names else "critical"}
            assert self.first.call("PUT", f"/v1/agent/check/update/well-{name}", state).status == 200
            if app.server is None:
                app.start()
        self.known(*names)

    def known(self, *names):
        for agent in (self.first, self.second):
            until(lambda agent=agent: self.passing(agent) == sorted(names))

    def stopped(self, name):
        self.apps[name].stop()
        self.known(*(other for other in self.apps if other != name))

    def begin(self, name, words):
        """A program in the foreground; ended with the house."""
        words = [find(words[0]), *words[1:]]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.programs.append(subprocess.Popen(words, stdout=log, stderr=log))

    def tcp_queries(self):
        text = self.first.call("GET", "/v1/agent/metrics?format=prometheus").text
        return int(re.search(r'^rollcall_dns_seconds_count{proto="tcp"} (\d+)$', text, re.M).group(1))

    def end_programs(self):
        for program in reversed(self.programs):
            program.terminate()
            try:
                program.wait(patient(10))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        self.programs.clear()

    def end(self):
        self.end_programs()
        for agent in (self.second, self.first):
            agent.end()
        for app in self.apps.values():
            app.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    network, made = serf_pool.Namespace(), None
    try:
        made = House(tmp_path_factory.mktemp("consumers"))
        yield made
    finally:
        with contextlib.ExitStack() as ending:
            ending.callback(network.leave)
            if made is not None:
                ending.callback(made.end)


@pytest.fixture
def programs(house):
    """The house with all of its instances well; what a test starts in it ends with it."""
    house.begin_anew()
    yield house
    house.end_programs()


def page(section):
    """The configuration that the manual page shows in a section."""
    text = PAGE.read_text().split(f".Ss {section}\n", 1)[1]
    return text.split(".Bd -literal -offset indent\n", 1)[1].split(".Ed\n", 1)[0].replace("\\&", "").replace("\\e", "\\")


def find(program):
    return shutil.which(program, path=PLACES)


def asked(port):
    """Who answers one HTTP request, or why nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patient(5))
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        text = answer.read().decode()
        return text if answer.status == 200 else str(answer.status)
    except OSError as problem:
        return type(problem).__name__
    finally:
        connection.close()


def reached(port, count=12):
    return sorted({asked(port) for _ in range(count)})


def follows(seen, wanted, what):
    """Waits until `seen()` is `wanted`; says what was seen last."""
    wanted, end = sorted(wanted), time.monotonic() + patient(FOLLOWS)
    while True:
        last = seen()
        if last == wanted:
            return
        assert time.monotonic() < end, f"{what}: saw {last}, not {wanted}"
        time.sleep(0.05)


def follows_changes(house, seen, what):
    """One instance is ill and well again, another is gone and comes back."""
    follows(seen, "abc", f"{what}, all well")
    house.well("a", "c")
    follows(seen, "ac", f"{what}, b ill")
    house.well("a", "b", "c")
    follows(seen, "abc", f"{what}, b well again")
    house.stopped("a")
    follows(seen, "bc", f"{what}, a gone")
    house.well("a", "b", "c")
    follows(seen, "abc", f"{what}, a back")


def resolving(folder, nameserver, words):
    """Runs `words` where resolv.conf is the page's, with another server if need be; what it printed, and its exit code."""
    config = page("glibc")
    assert "nameserver 127.0.0.1\n" in config
    (folder / "resolv.conf").write_text(config.replace("nameserver 127.0.0.1\n", f"nameserver {nameserver}\n"))
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    binds = " && ".join(f"mount --bind {folder}/{name} {Path('/etc/' + name).resolve()}" for name in ("resolv.conf", "nsswitch.conf"))
    done = subprocess.run(["unshare", "-m", "sh", "-c", binds + ' && exec "$@"', "sh", *words], capture_output=True, text=True,
                          timeout=patient(30), check=False)
    return done.stdout, done.returncode


def needs(program):
    if find(program) is None:
        pytest.skip(f"{program} is not installed")


def listens(address, port):
    """Waits until something does, over TCP."""
    until(lambda: socket.create_connection((address, port), timeout=1).close() is None)
