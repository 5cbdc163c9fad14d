"""Routes of rollcall-proxy over the network: each action, no way past one, services by their names, and the words of explain."""
import json
import os
import subprocess
import threading
import time

import pytest
from patience import patient
from proxy_lab import Client, echo, field, free_port, get, lab, ok, program, read_request, says  # noqa: F401
from store_agents import Agent, until


def listener(lab, words, backend=None, **more):
    """A proxy whose listener also has `words`; the route of everything else leads to an echo."""
    backend = backend or lab.backend(echo())
    return lab.proxy(backend, listener=words, **more), backend


def ask(proxy, path="/", host="app.test", more="", method="GET", body=""):
    client = proxy.client()
    try:
        return client.ask("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s" % (method, path, host, more, body), method)
    finally:
        client.close()


def test_redirects_carry_host_path_query_and_groups(lab):
    proxy, _ = listener(lab, """
        host old.test {
            route / { redirect 301 https://$host$path$query }
            route ~ ^/user/([^/]+)/(.*)$ { redirect 308 /u/$1?rest=$2 }
            route = /here { redirect 302 /there; response_header set Cache-Control no-store }
        }""")
    answer = ask(proxy, "/a%20b/c?d=e&f", "OLD.test:80")
    assert (answer.status, answer.field("location")) == (301, ["https://OLD.test/a%20b/c?d=e&f"])
    assert answer.field("content-length") == ["0"]
    assert ask(proxy, "/user/me/x/y", "old.test").field("location") == ["/u/me?rest=x/y"]
    answer = ask(proxy, "/here", "old.test", method="HEAD")
    assert (answer.status, answer.field("cache-control"), answer.body) == (302, ["no-store"], b"")


def test_fixed_answers_have_their_type_and_keep_the_connection(lab):
    proxy, _ = listener(lab, r"""
        host a.test {
            route = /robots.txt { answer 200 text/plain "User-agent: *\nDisallow: /\n" }
            route = /none { answer 204 }
            route = /no { answer 403 application/json "{\"no\":1}"; response_header add X-Why "$client $path" }
            route / { pool web }
        }""")
    client = proxy.client()
    for _ in range(2):
        answer = client.ask(get("/robots.txt").replace("app.test", "a.test"))
        assert (answer.status, answer.body) == (200, b"User-agent: *\nDisallow: /\n")
        assert answer.field("content-type") == ["text/plain"]
        answer = client.ask("HEAD /robots.txt HTTP/1.1\r\nHost: a.test\r\n\r\n", "HEAD")
        assert (answer.field("content-length"), answer.body) == (["26"], b"")
        answer = client.ask(get("/none").replace("app.test", "a.test"))
        assert (answer.status, answer.field("content-length"), answer.field("content-type")) == (204, [], [])
        answer = client.ask(get("/no?x").replace("app.test", "a.test"))
        assert (answer.status, answer.body, answer.field("x-why")) == (403, b'{"no":1}', ["127.0.0.1 /no"])
    # A body that nobody wanted is not taken for the next request.
    answer = client.ask("POST /no HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.status == 403 and answer.field("connection") == ["close"]


def test_paths_are_rewritten_and_the_query_stays(lab):
    proxy, _ = listener(lab, """
        host a.test {
            route /api { pool web; rewrite / }
            route ~ ^/v([0-9]+)/(.*)$ { pool web; rewrite /$2/of/$1 }
            route / { pool web }
        }""")
    for path, sent in (("/api/x/y?q=/api", "/x/y?q=/api"), ("/api", "/"), ("/api?z", "/?z"), ("/apix", "/apix"),
                       ("/v7/x%2Fy?z", "/x%2Fy/of/7?z"), ("/a/../b/./c?d/../e", "/b/c?d/../e"), ("/%7ea/%c3%a9", "/~a/%C3%A9"),
                       ("/x//y%2Fz", "/x//y%2Fz")):
        assert ask(proxy, path, "a.test").body == ("echo|GET %s HTTP/1.1|0" % sent).encode()


def test_fields_are_set_added_and_removed_both_ways(lab):
    backend = lab.backend(says(ok("x", "Server: secret\r\nX-Kept: 1\r\nX-Twice: a\r\n")))
    proxy, _ = listener(lab, """
        host a.test {
            route / {
                pool web
                request_header set X-Env prod; request_header remove Cookie; request_header add X-Tag "$client $host"
                response_header remove Server; response_header add X-Twice b; response_header set X-Id $request_id
                via on; forwarded on
            }
        }""", backend)
    answer = ask(proxy, "/", "a.test:81", "x_env: faked\r\nX-Env: faked\r\nCookie: a=b\r\nX-Tag: first\r\nForwarded: for=6.6.6.6\r\nVia: 1.1 other\r\n")
    head = backend.heads[0]
    assert field(head, "x-env") == ["prod"] and field(head, "x_env") == field(head, "cookie") == []
    assert field(head, "x-tag") == ["first", "127.0.0.1 a.test"]
    assert field(head, "via") == ["1.1 other", "1.1 rollcall-proxy"]
    assert field(head, "forwarded") == ['for=127.0.0.1;host="a.test:81";proto=http']
    assert answer.field("server") == [] and answer.field("x-kept") == ["1"] and answer.field("x-twice") == ["a", "b"]
    assert answer.field("x-id") == field(head, "x-request-id") and answer.field("via") == ["1.1 rollcall-proxy"]
    assert ask(proxy, "/", "a.test", "Via: %s\r\n" % ", ".join(["1.1 rollcall-proxy"] * 8)).status == 508


def test_fields_of_traces_go_through_unchanged(lab):
    proxy, backend = listener(lab, "")
    lines = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b,c=d", "b3": "0", "X-B3-TraceId": "abc",
             "baggage": "k=v;p"}
    ask(proxy, "/", more="".join("%s: %s\r\n" % pair for pair in lines.items()))
    for name, value in lines.items():
        assert ("\r\n%s: %s\r\n" % (name, value)) in backend.heads[0]


def test_conditions_choose_between_routes_of_one_path(lab):
    proxy, _ = listener(lab, """
        host a.test {
            route / { answer 200 text/plain plain }
            route / { when header X-Beta ~ ^v[0-9]+$; answer 200 text/plain beta }
            route / { when method POST; answer 200 text/plain post }
            route / { when source 10.0.0.0/8; answer 200 text/plain inside }
            route /own { when source 127.0.0.0/8; answer 200 text/plain own }
        }""")
    assert ask(proxy, "/", "a.test").body == b"plain"
    assert ask(proxy, "/", "a.test", "x-beta: v12\r\n").body == b"beta"
    assert ask(proxy, "/", "a.test", "Content-Length: 0\r\n", "POST").body == b"post"
    assert ask(proxy, "/own/x", "a.test").body == b"own"


def test_unknown_sites_and_paths_are_told_apart(lab):
    port = free_port()
    proxy, _ = listener(lab, "", top="")
    text = proxy.config.read_text() + "listen http 127.0.0.1:%d { host a.test { route /x { pool web } } }\n" % port
    proxy.config.write_text(text)
    proxy.process.send_signal(1)
    until(lambda: Client(port))
    for host, path, status, words in (("a.test", "/x", 200, b"echo"), ("a.test.", "/x/y", 200, b"echo"), ("a.test", "/y", 404, b"no route for this path"),
                                      ("b.test", "/x", 404, b"no site of this name")):
        answer = Client(port).ask(get(path).replace("app.test", host))
        assert answer.status == status and words in answer.body


NO_WAY = ["//admin", "/%2fadmin", "/admin%2f", "/admin;x", "/x/..%2fadmin", "/x%2f..%2fadmin", "/x/..;/admin", "/x/..%5cadmin", "/%c0%afadmin",
          "/x\\..\\admin", "/\\admin", "/admin%00", "/%00/admin", "/..", "/../admin", "/%2e%2e/admin", "/x/../../admin", "/%zz", "/admin%", "/x/%c0%ae%c0%ae/admin"]
CLOSED = ["/admin", "/admin/", "/admin?x", "/%61dmin", "/%41dmin/../admin", "/x/../admin", "/x/%2e%2e/admin", "/x/.%2E/admin/y", "/./admin", "/./x/./../admin/."]


@pytest.mark.parametrize("path", NO_WAY + CLOSED)
def test_no_spelling_leads_past_a_route(lab, path):
    proxy, backend = listener(lab, "host a.test { route / { pool web } route /admin { answer 403 text/plain no } }")
    answer = ask(proxy, path, "a.test")
    assert answer.status == (400 if path in NO_WAY else 403)
    assert backend.heads == []


def test_bombs_do_not_hold_the_others_up(lab):
    proxy, _ = listener(lab, r"""
        host a.test {
            route ~ "^/(([a-z])+.)+[A-Z]([a-z])+$" { answer 500 }
            route ~ "^/([a-z]*)*[0-9]$" { answer 500 }
            route ~ "(?=.*.*.*[0-9])!" { answer 500 }
            route / { pool web }
        }""")
    for _ in range(20):
        assert ask(proxy, "/" + "a" * 4000, "a.test").status == 200
    page = subprocess.run(["curl", "-sS", "http://127.0.0.1:%d/metrics" % proxy.admin], capture_output=True, text=True, check=True, timeout=patient(30)).stdout
    count = [line for line in page.splitlines() if line.startswith("rollcall_proxy_http_patterns_given_up_total")]
    assert float(count[0].split()[-1]) >= 20


def test_maintenance_follows_a_file_under_load(lab, tmp_path):
    page = tmp_path / "down.html"
    proxy, _ = listener(lab, """
        host a.test { route / { pool web } route /status { pool web; maintenance off }
                      maintenance file %s retry_after 2m }""" % page)
    seen, stop = [], threading.Event()

    def load():
        client = proxy.client()
        while not stop.is_set():
            seen.append(client.ask(get("/").replace("app.test", "a.test")).status)
    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(2):
            page.write_text("<p>back soon %d" % round_)
            answer = until(lambda: (lambda a: a if a.status == 503 else None)(ask(proxy, "/x", "a.test")))
            assert (answer.field("retry-after"), answer.body) == (["120"], b"<p>back soon %d" % round_)
            assert answer.field("content-type") == ["text/html; charset=utf-8"]
            head = ask(proxy, "/x", "a.test", method="HEAD")
            assert (head.status, head.field("content-length")) == (503, [str(len(answer.body))])
            assert ask(proxy, "/status", "a.test").status == 200
            page.unlink()
            until(lambda: ask(proxy, "/x", "a.test").status == 200)
    finally:
        stop.set()
        for thread in threads:
            thread.join(patient(30))
    assert set(seen) == {200, 503}


def test_maintenance_without_a_page_has_a_line_of_our_own(lab):
    proxy, backend = listener(lab, "host a.test { pool web; maintenance on }")
    answer = ask(proxy, "/", "a.test")
    assert answer.status == 503 and answer.field("retry-after") == ["60"] and b"worked on" in answer.body
    assert backend.heads == []


def test_a_route_has_its_own_patience_and_limits(lab):
    def slow(stream, backend):
        while read_request(stream, backend):
            if b"/slow" in backend.heads[-1].encode():
                time.sleep(patient(5))
            stream.send(ok())
    proxy, _ = listener(lab, """host a.test {
        route / { pool web } route /slow { pool web; response_timeout 200ms; retry { attempts 1 } } route /small { pool web; body_limit 3B } }""",
                        lab.backend(slow))
    assert ask(proxy, "/", "a.test").status == 200
    assert ask(proxy, "/slow", "a.test").status == 504
    assert ask(proxy, "/small", "a.test", "Content-Length: 4\r\n", "POST", "abcd").status == 413


# --- services by their names ---

def serve(name):
    """An HTTP server whose answers have its name."""
    from proxy_lab import Backend
    return Backend(echo(name))


@pytest.fixture
def house(tmp_path):
    """An agent, a proxy with the wildcard rule before it, and a way to register."""
    loopback = "127.%d.%d.1" % (os.getpid() % 250 + 2, os.getpid() // 250 % 250)
    agent = Agent(tmp_path / "agent", "one", loopback, server=False)
    port, admin = free_port(), free_port()
    config = tmp_path / "proxy.conf"
    config.write_text("""
worker_threads 2
admin 127.0.0.1:%d
discovery agent { address %s:8500 }
pool special { from agent service * tag http; queue_timeout 5s }
listen http 127.0.0.1:%d {
    host *.apps.test { services apps.test tag http }
    host *.special.test { services special.test pool special }
}
""" % (admin, loopback, port))
    said = open(tmp_path / "proxy.err", "wb")
    made = []

    class House:
        def start(self):
            agent.start()
            until(lambda: agent.call("GET", "/v1/agent/self").status == 200)
            self.process = subprocess.Popen([program(), "-config", str(config)], stderr=said)
            until(lambda: Client(port))

        def register(self, name, **more):
            backend = serve(name)
            made.append(backend)
            entry = {"Name": name, "ID": name, "Address": "127.0.0.1", "Port": backend.port, "Tags": ["http"], **more}
            assert agent.call("PUT", "/v1/agent/service/register", entry).status == 200
            return backend

        def ask(self, host, path="/"):
            client = Client(port)
            try:
                return client.ask("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path, host))
            finally:
                client.close()

        def pools(self):
            out = subprocess.run(["curl", "-sS", "http://127.0.0.1:%d/upstreams" % admin], capture_output=True, check=True, timeout=patient(30)).stdout
            return [pool["name"] for pool in json.loads(out)["pools"]]

    house = House()
    house.agent, house.config, house.admin, house.port = agent, config, admin, port
    try:
        house.start()
        yield house
    finally:
        house.process.terminate()
        house.process.wait(patient(30))
        agent.kill()
        for backend in made:
            backend.stop()


def test_a_new_service_is_served_by_its_name_at_once(house):
    for number in range(3):
        name = "web%d" % number
        house.register(name)
        answer = house.ask("%s.apps.test" % name, "/x")
        assert (answer.status, answer.body) == (200, ("%s|GET /x HTTP/1.1|0" % name).encode())
    assert house.ask("WEB0.Apps.Test:80").status == 200
    assert house.ask("web0.special.test").body.startswith(b"web0|")
    assert {"services:http/web0", "services:http/web1", "services:http/web2", "special/web0"} <= set(house.pools())


def test_who_is_no_service_is_told_so(house):
    house.register("plain", Tags=[])
    for host in ("nobody.apps.test", "plain.apps.test", "a.b.apps.test", "apps.test"):
        answer = house.ask(host)
        assert answer.status == 404, answer.body
    house.register("nobody")
    assert until(lambda: house.ask("nobody.apps.test").status == 200)


def test_strangers_cannot_fill_the_table(house):
    house.register("real")
    failed = []

    def flood(first):
        for i in range(first, first + 400):
            status = house.ask("x%d.apps.test" % i).status
            if status not in (404, 503):
                failed.append(status)
    threads = [threading.Thread(target=flood, args=(i * 400,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patient(120))
    assert failed == []
    assert until(lambda: house.ask("real.apps.test").status == 200)


def test_explain_says_who_would_be_chosen(house):
    house.register("shown")
    assert house.ask("shown.apps.test").status == 200
    out = subprocess.run([program(), "explain", "-config", str(house.config), "http://shown.apps.test:%d/x" % house.port], capture_output=True, text=True,
                         check=False, timeout=patient(60))
    assert out.returncode == 0, out.stderr
    assert "service          shown with tag http" in out.stdout
    assert "one/shown" in out.stdout and ": up" in out.stdout and "chosen           one of 1 usable, by round_robin" in out.stdout


# --- the command line ---

def run(*words):
    return subprocess.run([program(), *words], capture_output=True, text=True, check=False, timeout=patient(60))


def test_check_prints_what_is_in_force_or_shows_the_place(tmp_path):
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text("pool p { static 127.0.0.1:1 }\nlisten http 127.0.0.1:2 { pool p }\n")
    bad.write_text("pool p { static 127.0.0.1:1 }\nlisten http 127.0.0.1:2 {\n\troute ~ /a(b { pool p }\n}\n")
    out = run("check", "-config", str(good))
    assert out.returncode == 0 and "retry { attempts 3" in out.stdout and out.stderr == ""
    again = tmp_path / "again.conf"
    again.write_text(out.stdout)
    assert run("check", "-config", str(again)).stdout == out.stdout
    out = run("check", "-config", str(bad))
    assert out.returncode == 1 and out.stdout == ""
    assert out.stderr == ("%s:3:10: no regular expression: missing closing parenthesis, at its byte 5\n\troute ~ /a(b { pool p }\n\t        ^\n" % bad)


def test_explain_has_a_status_for_scripts_and_json_for_programs(tmp_path):
    config = tmp_path / "p.conf"
    config.write_text("admin off\npool p { static 127.0.0.1:1 }\nlisten http 127.0.0.1:2 { host a.test { route /x { pool p; rewrite / } } }\n")
    out = run("explain", "-config", str(config), "-json", "-header", "Cookie: c", "a.test/x/y")
    facts = json.loads(out.stdout)
    assert out.returncode == 0 and facts["pool"] == "p" and facts["sends"][0] == "GET /y HTTP/1.1" and "Cookie: c" in facts["sends"]
    assert run("explain", "-config", str(config), "a.test/y").returncode == 2
    assert run("explain", "-config", str(config), "a.test:9/y").returncode == 1
    assert run("explain", "-config", str(config)).returncode == 1
    assert "-check is a command now" in run("-check", str(config)).stderr
    for command in ("run", "check", "explain"):
        assert "Usage: rollcall-proxy" in run(command, "-help").stdout
