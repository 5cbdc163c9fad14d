"""What rollcall-proxy shows: access log, metrics, routes."""
import contextlib
import json
import re
import shutil
import subprocess
import threading

import pytest
from patience import patient
from proxy_lab import Backend, Client, echo, free_port, get, says
from proxy_pg import until
from test_proxy_control import Process

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01"


@contextlib.contextmanager
def proxied(folder, listener, pools):
    """A proxy with one http listener, and its port."""
    port = free_port()
    process = Process(folder, f"worker_threads 2\n{pools}\nlisten http 127.0.0.1:{port} {{\n{listener}\n}}\n")
    process.port = port
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def backend():
    one = Backend(echo("one"))
    yield one
    one.stop()


def pool_of(*ports, name="web"):
    return "pool %s { %s }\n" % (name, "; ".join("static 127.0.0.1:%d" % port for port in ports))


def ask(port, text):
    client = Client(port)
    client.send(text)
    answer = client.response()
    client.sock.close()
    return answer


def lines(path, count):
    until(lambda: path.exists() and path.read_bytes().count(b"\n") >= count)
    return path.read_text().splitlines()


def routes(proxy):
    return {route["label"]: route for listener in json.loads(proxy.get("/routes")[1])["listeners"]
            for route in listener["routes"]}


def samples(proxy, name):
    """Labels as text -> value, of one family."""
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", proxy.get("/metrics")[1], re.M)
    return {labels: float(value) for labels, value in found}


# --- the access log ---


def test_a_line_has_the_fields_that_its_format_names(tmp_path, backend):
    log = tmp_path / "access.log"
    form = r"\"$method $path\" $status $route $pool $instance $protocol $request_id $trace_id $reason end"
    with proxied(tmp_path, f'access_log file {log} format "{form}"\nhost app.test {{ route /api {{ name api; pool web }} }}',
                 pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/api/x", PARENT + "\r\n"))
        ask(proxy.port, "GET /nowhere HTTP/1.1\r\nHost: other.test\r\n\r\n")
        first, second = sorted(lines(log, 2))  # two workers write in whichever order
    number = re.search(r"^x-request-id: (\S+)", backend.heads[0], re.I | re.M).group(1)
    assert first == f'"GET /api/x" 200 api web 127.0.0.1:{backend.port} HTTP/1.1 {number} {TRACE} - end'
    assert re.fullmatch(r'"GET /nowhere" 404 - - - HTTP/1.1 \S+ - no_route end', second)


def test_fields_of_traces_go_on_as_they_came(tmp_path, backend):
    more = [PARENT, "tracestate: a=1,b=2", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"]
    with proxied(tmp_path, "access_log off\npool web", pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/", "\r\n".join(more) + "\r\n"))
    for line in more:
        assert line in backend.heads[0].split("\r\n")


def test_no_request_forges_a_line(tmp_path, backend):
    log = tmp_path / "access.log"
    with proxied(tmp_path, f'access_log file {log} format "$client \\"$agent\\" $referrer $status"\npool web',
                 pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/", 'User-Agent: x" 200 "\tz\r\nReferer: a b \xff\r\n'))
        (line,) = lines(log, 1)
    assert line == r'127.0.0.1 "x\" 200 \"\x09z" a\x20b\x20\xff 200'


def test_json_lines_are_json_and_name_the_reason(tmp_path, backend):
    log = tmp_path / "access.log"
    with proxied(tmp_path, f"access_log file {log}\nhost app.test {{ route / {{ pool web; body_limit 1KB }} }}",
                 pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/", PARENT + "\r\n"))
        ask(proxy.port, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5000\r\n\r\n")
        # Two workers write in whichever order.
        served, refused = sorted((json.loads(line) for line in lines(log, 2)), key=lambda line: line["status"])
    assert served["trace_id"] == TRACE and "reason" not in served and served["route"] == "app.test /"
    assert served["first_byte_ms"] >= served["upstream_ms"] > 0
    assert refused["reason"] == "body_size" and refused["status"] == 413


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("openssl") is None, reason="needs curl and openssl")
def test_a_line_names_protocol_tls_and_the_name_that_was_asked_for(tmp_path, backend):
    log, crt, key = tmp_path / "access.log", tmp_path / "a.crt", tmp_path / "a.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=app.test", "-addext", "subjectAltName=DNS:app.test", "-keyout", key, "-out", crt],
                   check=True, capture_output=True, timeout=patient(30))
    form = "$scheme $protocol $tls $sni $path"
    with proxied(tmp_path, f'access_log file {log} format "{form}"\ntls {{ certificate {crt} key {key} }}\npool web',
                 pool_of(backend.port)) as proxy:
        for version, path in (("--http1.1", "/one"), ("--http2", "/two")):
            subprocess.run(["curl", "-sk", version, "--resolve", f"app.test:{proxy.port}:127.0.0.1", f"https://app.test:{proxy.port}{path}"],
                           check=True, capture_output=True, timeout=patient(30))
        told = lines(log, 2)
    assert told[0] == "https HTTP/1.1 TLSv1.3 app.test /one"
    assert re.fullmatch(r"https HTTP/(2|1\.1) TLSv1\.3 app\.test /two", told[1])


def test_a_field_that_nobody_knows_is_refused_with_a_suggestion(tmp_path, backend):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        was = proxy.config.read_text().split("\n", 1)[1]
        proxy.write(was.replace("pool web\n}", 'pool web\naccess_log stdout format "$clientt"\n}'))
        proxy.reload()
        proxy.says('no field "$clientt": did you mean "$client"?')


def test_a_log_that_was_moved_is_opened_anew_even_by_a_reload_that_fails(tmp_path, backend):
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    with proxied(tmp_path, f"access_log file {log}\npool web", pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/one"))
        lines(log, 1)
        log.rename(moved)
        proxy.config.write_text(proxy.config.read_text() + "\nnonsense\n")
        proxy.reload()
        until(log.exists)
        until(lambda: [ask(proxy.port, get("/two")), log.stat().st_size > 0][1])
    assert "/one" in moved.read_text() and "/two" in log.read_text()


# --- counts ---


def test_requests_and_times_are_counted_by_route_and_by_instance(tmp_path, backend):
    broken = Backend(says("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    hosts = "host app.test { route /a { name a; pool web }\nroute /b { name b; pool other } }"
    with proxied(tmp_path, "access_log off\n" + hosts, pool_of(backend.port) + pool_of(broken.port, name="other")) as proxy:
        for _ in range(20):
            ask(proxy.port, get("/a"))
        for _ in range(5):
            ask(proxy.port, get("/b"))
        ask(proxy.port, get("/c"))
        listener = f'listener="127.0.0.1:{proxy.port}"'
        until(lambda: samples(proxy, "rollcall_proxy_http_requests_total")[f'{listener},route="",code="4xx"'] == 1)
        requests = samples(proxy, "rollcall_proxy_http_requests_total")
        assert requests[f'{listener},route="a",code="2xx"'] == 20
        assert requests[f'{listener},route="b",code="5xx"'] == 5
        at = samples(proxy, "rollcall_proxy_instance_requests_total")
        assert at[f'pool="web",instance="127.0.0.1:{backend.port}",code="2xx"'] == 20
        assert samples(proxy, "rollcall_proxy_refusals_total") == {f'{listener},route="",reason="no_route"': 1}
        until(lambda: samples(proxy, "rollcall_proxy_http_request_duration_seconds_count")[f'{listener},route="a"'] == 20)
        buckets = samples(proxy, "rollcall_proxy_http_request_duration_seconds_bucket")
        of_a = [value for labels, value in buckets.items() if 'route="a"' in labels]
        assert of_a == sorted(of_a) and of_a[-1] == 20
        shown = routes(proxy)
        assert shown["a"]["codes"]["2xx"] == 20 and shown["b"]["codes"]["5xx"] == 5
        assert 0 < shown["a"]["p50_us"] <= shown["a"]["p95_us"] <= shown["a"]["p99_us"]
    broken.stop()


def test_counts_survive_a_reload_and_go_with_their_instance(tmp_path, backend):
    other = Backend(echo("two"))
    with proxied(tmp_path, "access_log off\nhost app.test { route /a { name a; pool web } }", pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/a"))
        proxy.write(proxy.config.read_text().split("\n", 1)[1].replace(str(backend.port), str(other.port)))
        proxy.reload()
        until(lambda: "two" in ask(proxy.port, get("/a")).body.decode())
        until(lambda: routes(proxy)["a"]["requests"] >= 2)
        until(lambda: str(backend.port) not in "".join(samples(proxy, "rollcall_proxy_instance_requests_total")))
    other.stop()


def test_counts_of_two_workers_lose_nothing(tmp_path, backend):
    with proxied(tmp_path, "access_log off\npool web", pool_of(backend.port)) as proxy:
        def many():
            client = Client(proxy.port)
            for _ in range(100):
                client.send(get("/"))
                client.response()
            client.sock.close()

        threads = [threading.Thread(target=many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: sum(route["requests"] for route in routes(proxy).values()) == 800)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool of the package prometheus")
def test_prometheus_takes_the_metrics(tmp_path, backend):
    with proxied(tmp_path, "access_log off\nhost app.test { route /a { name a; pool web } }", pool_of(backend.port)) as proxy:
        ask(proxy.port, get("/a"))
        ask(proxy.port, get("/b"))
        told = subprocess.run(["promtool", "check", "metrics"], input=proxy.get("/metrics")[1], text=True, timeout=patient(30),
                              capture_output=True, check=False)
    assert told.returncode in (0, 3), told.stderr  # 3: a matter of taste
    assert "error" not in told.stderr
