"""`rollcall template` beside a real agent: files that follow the catalog and the store, and good files that nothing replaces."""
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from manual_examples import examples
from serf_pool import LONG, ROLLCALL, Pool, until, why_not

HOSTILE = "a'b\n\"c\" $(touch /tmp/owned); `x` \\"
UPSTREAM = '{{range service "web"}}{{.Address}}:{{.Port}}\n{{end}}'


class Template:
    """`rollcall template` with a configuration in a folder, and what it says."""

    def __init__(self, folder, address, config, *words, env=None):
        self.env = env
        self.folder, self.log = folder, folder / "template.log"
        (folder / "t.hcl").write_text('agent { address = "%s" }\n%s' % (address, config))
        self.command = [ROLLCALL, "template", "-config", str(folder / "t.hcl"), "-log-level=debug", *words]
        self.process = None

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.env)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.status = self.process.wait(LONG)

    def said(self):
        return self.log.read_text(errors="replace")

    def says(self, words, count=1):
        until(LONG, lambda: self.said().count(words) >= count, lambda: "it says %r: %s" % (words, self.said()[-4000:]))

    def holds(self, path, text):
        """Returns how long it took."""
        start = time.monotonic()
        until(LONG, lambda: path.exists() and path.read_text() == text,
              lambda: "%s holds %r, not %r: %s" % (path, path.exists() and path.read_text(), text, self.said()[-4000:]))
        return time.monotonic() - start


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """A server with a store, without checks of its own."""
    if why_not():
        pytest.skip(why_not())
    pool = Pool(tmp_path_factory.mktemp("template"))
    try:
        yield pool.agent("one", words=["-server"])
    finally:
        pool.end()


@pytest.fixture
def place(agent, tmp_path):
    for name in agent.api("/v1/agent/services"):
        agent.api("/v1/agent/service/deregister/" + name, "PUT")
    agent.api("/v1/kv/?recurse", "DELETE")
    tmp_path.chmod(0o755)
    return tmp_path


def register(agent, name, port, meta=None, service="web"):
    agent.api("/v1/agent/service/register", "PUT",
              {"ID": name, "Name": service, "Address": "127.0.0.1", "Port": port, "Meta": meta or {}})


def block(place, text, *more):
    (place / "in").write_text(text)
    return 'template {\n source = "%s"\n destination = "%s"\n %s\n}\n' % (place / "in", place / "out", "\n".join(more))


def test_a_change_is_in_the_file_and_the_reload_has_run(agent, place):
    register(agent, "a", 8001)
    config = block(place, UPSTREAM, 'reload = ["sh", "-c", "cat $FILE >>%s/reloads"]' % place)
    with Template(place, agent.http, config) as template:
        template.holds(place / "out", "127.0.0.1:8001\n")
        register(agent, "b", 8002)
        print("a change is in the file after %.3f s" % template.holds(place / "out", "127.0.0.1:8001\n127.0.0.1:8002\n"))
        template.holds(place / "reloads", "127.0.0.1:8001\n127.0.0.1:8001\n127.0.0.1:8002\n")
        before = (place / "out").stat()
        register(agent, "c", 9, service="other")
        agent.api("/v1/agent/service/deregister/b", "PUT")
        template.holds(place / "out", "127.0.0.1:8001\n")
        assert (place / "out").stat().st_mode == before.st_mode
    assert template.status == 0


def test_values_of_others_are_one_word_by_the_filters(agent, place):
    register(agent, "a", 1, {"note": HOSTILE.replace("\\", "")})
    agent.api("/v1/kv/hostile", "PUT", HOSTILE.encode())
    text = '{{key "hostile" | shellQuote}}\n{{range service "web"}}{{.ServiceMeta.note | toJSON}}{{end}}'
    with Template(place, agent.http, block(place, text), "-once") as template:
        assert template.process.wait(LONG) == 0, template.said()
    quoted, _, meta = (place / "out").read_text().rpartition("\n")
    assert subprocess.run(["sh", "-c", "printf %%s %s" % quoted], capture_output=True, check=True).stdout.decode() == HOSTILE
    assert json.loads(meta) == HOSTILE.replace("\\", "")


def test_a_failing_check_keeps_the_file_and_is_told_once(agent, place):
    agent.api("/v1/kv/port", "PUT", b"80")
    config = block(place, 'port {{key "port"}}', 'check = "! grep bad $FILE"', 'reload = ["touch", "%s/reloaded"]' % place)
    with Template(place, agent.http, config) as template:
        template.holds(place / "out", "port 80")
        agent.api("/v1/kv/port", "PUT", b"bad")
        template.says("the check says: port bad", 2)  # tried again a second later, in the log of debug only
        assert (place / "out").read_text() == "port 80"
        assert template.said().count("the new text is not taken") == 1
        assert [path.name for path in place.iterdir() if "rollcall-new" in path.name] in ([], [".out.rollcall-new"])
        agent.api("/v1/kv/port", "PUT", b"81")
        template.holds(place / "out", "port 81")


def test_a_reload_that_fails_is_run_again(agent, place):
    config = block(place, "x", 'reload = "test -e %s/ready && touch %s/done"' % (place, place))
    with Template(place, agent.http, config) as template:
        template.says("its reload failed; it is tried again")
        (place / "ready").touch()
        until(LONG, (place / "done").exists, "the reload is run again")


def test_a_full_disk_keeps_the_file_until_there_is_room(agent, place):
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], check=True)
    try:
        agent.api("/v1/kv/text", "PUT", b"small")
        config = block(place, '{{key "text"}}').replace(str(place / "out"), str(disk / "out"))
        with Template(place, agent.http, config) as template:
            template.holds(disk / "out", "small")
            agent.api("/v1/kv/text", "PUT", b"x" * 100000)
            template.says("No space left on device")
            assert (disk / "out").read_text() == "small"
            agent.api("/v1/kv/text", "PUT", b"small again")
            template.holds(disk / "out", "small again")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_command_that_hangs_is_ended(agent, place):
    config = block(place, "x", 'check = ["sleep", "1000"]', 'command_timeout = "300ms"')
    with Template(place, agent.http, config) as template:
        template.says("the check took too long")
        assert not (place / "out").exists()


def test_a_template_with_a_mistake_never_replaces_a_file(agent, place):
    config = block(place, "good")
    (place / "in").write_text("{{range}}")
    (place / "out").write_text("old")
    with Template(place, agent.http, config) as template:
        assert template.process.wait(LONG) == 15
    assert "%s:1:8: a value is missing" % (place / "in") in template.said()
    (place / "in").write_text("good")
    with Template(place, agent.http, config) as template:
        template.holds(place / "out", "good")
        (place / "in").write_text("{{end}}")
        template.process.send_signal(signal.SIGHUP)
        template.says("this end belongs to nothing")
        (place / "in").write_text('{{keyOrDefault "none" "x" | parseInt}}')
        template.process.send_signal(signal.SIGHUP)
        template.says("parseInt: this is no whole number")
        assert (place / "out").read_text() == "good"
        (place / "in").write_text("better")
        template.process.send_signal(signal.SIGHUP)
        template.holds(place / "out", "better")


def test_an_agent_that_is_away_or_a_service_that_vanished_changes_nothing(agent, place):
    register(agent, "a", 8001)
    config = block(place, UPSTREAM, "min_instances = 1")
    with Template(place, agent.http, config) as template:
        template.holds(place / "out", "127.0.0.1:8001\n")
        agent.api("/v1/agent/service/deregister/a", "PUT")
        template.says("the service web has 0 instances, and min_instances is 1")
        assert (place / "out").read_text() == "127.0.0.1:8001\n"
        register(agent, "a", 8002)
        template.holds(place / "out", "127.0.0.1:8002\n")
        agent.kill()
        template.says("does not tell")
        assert (place / "out").read_text() == "127.0.0.1:8002\n"
        agent.start()
        register(agent, "a", 8003)
        template.holds(place / "out", "127.0.0.1:8003\n")
        template.says("tells again")
    (place / "template.log").unlink()
    with Template(place, "127.0.0.1:1", config, "-once") as template:
        template.says("does not tell")
        template.process.send_signal(signal.SIGINT)
        assert template.process.wait(LONG) == 12


def test_whoever_is_killed_leaves_the_old_file_or_the_new(agent, place):
    config = block(place, '{{key "word"}}{{range loop 20000}} {{key "word"}}{{end}}', 'wait { min = "0s" }')
    whole = {word + 20000 * (" " + word) for word in map(str, range(100, 110))}
    for word in range(100, 110):
        agent.api("/v1/kv/word", "PUT", str(word).encode())
        with Template(place, agent.http, config) as template:
            template.holds(place / "out", str(word) + 20000 * (" %d" % word))
            agent.api("/v1/kv/word", "PUT", str(100 + (word + 5) % 10).encode())
            time.sleep(0.002 * (word - 100))  # somewhere in the middle of it
            template.process.kill()
            template.process.wait()
        assert (place / "out").read_text() in whole
    with Template(place, agent.http, config, "-once") as template:
        assert template.process.wait(LONG) == 0
    assert {path.name for path in place.iterdir()} == {"in", "out", "t.hcl", "template.log"}


def test_dry_prints_and_writes_nothing(agent, place):
    agent.api("/v1/kv/a", "PUT", b"1")
    config = block(place, '{{range ls ""}}{{.Key}}={{.Value}}{{end}}', 'reload = ["touch", "%s/no"]' % place)
    with Template(place, agent.http, config, "-dry", "-once") as template:
        assert template.process.wait(LONG) == 0
    assert "> %s\na=1\n" % (place / "out") in template.said()
    assert not (place / "out").exists() and not (place / "no").exists()


def test_a_token_is_read_from_its_file_for_each_request(agent, place):
    agent.api("/v1/kv/a", "PUT", b"1")
    (place / "in").write_text('{{key "a"}}')
    words = ["-template", "%s:%s" % (place / "in", place / "out"), "-token-file", str(place / "token")]
    with Template(place, agent.http, "", *words) as template:
        template.says("the token file %s cannot be read" % (place / "token"))
        assert not (place / "out").exists()
        (place / "token").write_text("00000000-0000-0000-0000-00000000face\n")
        template.holds(place / "out", "1")
        assert "face" not in template.said()


def test_wrong_flags_and_wrong_settings_have_their_exit_statuses(agent, place):
    for words, status, told in ((["-nonsense"], 13, "nonsense"), ([], 13, "wants -config PATH or -template"),
                                (["-template", "a"], 15, "OUT is missing"), (["-config", "/nowhere"], 15, "/nowhere"),
                                (["-template", "/nowhere:/tmp/x"], 15, "/nowhere cannot be read")):
        done = subprocess.run([ROLLCALL, "template", *words], capture_output=True, text=True, timeout=LONG, check=False)
        assert done.returncode == status and told in done.stderr, (words, done)


def test_systemd_is_told_when_it_runs_reads_again_and_stops(agent, place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(place / "notify"))
        told.settimeout(LONG)
        environment = {**os.environ, "NOTIFY_SOCKET": str(place / "notify")}
        with Template(place, agent.http, block(place, "x"), env=environment) as template:
            assert told.recv(99) == b"READY=1"
            template.process.send_signal(signal.SIGHUP)
            assert [told.recv(99), told.recv(99)] == [b"RELOADING=1", b"READY=1"]
            template.process.terminate()
            assert told.recv(99) == b"STOPPING=1"


# ---- nginx, as the manual has it.

class Web(http.server.ThreadingHTTPServer):
    """Says its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"%d" % self.server.server_address[1])

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def manual(place):
    """The files of the manual's example, moved into the folder."""
    page = Path(__file__).resolve().parents[2] / "agent/rollcall-template.7"
    texts = [text.replace("/etc/rollcall/template", str(place)).replace("/etc/nginx/conf.d", str(place)).replace("/run/", "%s/" % place)
             for text in examples("AN EXAMPLE", page)]
    (place / "upstream.conf.tmpl").write_text(texts[1])
    (place / "nginx-check.conf").write_text(texts[2])
    return texts[0].replace('"-s", "reload"]', '"-s", "reload", "-c", "%s/nginx.conf"]' % place)


@pytest.mark.skipif(shutil.which("nginx") is None and not os.path.exists("/usr/sbin/nginx"), reason="nginx is not installed")
def test_the_upstream_of_nginx_is_kept_right_and_traffic_follows(agent, place):
    webs = [Web(), Web()]
    ports = [str(web.server_address[1]) for web in webs]
    place.chmod(0o755)
    config = manual(place)
    (place / "nginx.conf").write_text(
        "daemon off; pid %s/nginx.pid; error_log %s/error.log; events {}\n"
        "http { access_log off; include %s/upstream.conf; server { listen 127.0.0.1:8081; location / { proxy_pass http://todomvc; } } }\n"
        % (place, place, place))

    def ask():
        try:
            with urllib.request.urlopen("http://127.0.0.1:8081/", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    register(agent, "t1", int(ports[0]), service="todomvc")
    (place / "upstream.conf").write_text("upstream todomvc { server 127.0.0.1:1; }\n")
    nginx = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(place / "nginx.conf")])
    try:
        until(LONG, (place / "nginx.pid").exists, "nginx runs")
        with Template(place, agent.http, config) as template:
            until(LONG, lambda: ask() == ports[0], lambda: "traffic goes to the first: %s" % template.said())
            register(agent, "t2", int(ports[1]), service="todomvc")
            until(LONG, lambda: {ask() for _ in range(8)} == set(ports), lambda: "both answer: %s" % template.said())
            agent.api("/v1/agent/service/deregister/t1", "PUT")
            until(LONG, lambda: {ask() for _ in range(8)} == {ports[1]}, lambda: "the second is left: %s" % template.said())
            good = (place / "upstream.conf").read_text()
            agent.api("/v1/agent/service/register", "PUT", {"ID": "bad", "Name": "todomvc", "Port": 1, "Address": "no such \"; host"})
            template.says("the new text is not taken")
            assert (place / "upstream.conf").read_text() == good and ask() == ports[1]
    finally:
        nginx.terminate()
        nginx.wait(LONG)
        for web in webs:
            web.shutdown()
