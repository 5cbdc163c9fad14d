"""Requests and answers that two parsers may read in two ways (smuggling/): what rollcall-proxy makes of each, and, for
comparison, nginx and HAProxy. Only ours can fail here; `smuggling_table.py` writes down what all three do."""
import pytest
from patience import patient
from proxy_lab import free_port
from proxy_peers import rollcall
from smuggling.recorder import Asker, Recorder, complaints
from smuggling.requests import PAYLOADS
from smuggling.responses import ANSWERS
from smuggling_table import judge_everybody, written

MARKER = b"GET /marker HTTP/1.1\r\nHost: app.test\r\n\r\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    recorder, port = Recorder(), free_port()
    proxy = rollcall(tmp_path_factory.mktemp("smuggling"), """
pool web { static 127.0.0.1:%d; outlier { failures 0 } }
listen http 127.0.0.1:%d { pool web }
""" % (recorder.port, port), [port])
    yield recorder, port
    assert proxy.stop() == 0, proxy.said()
    recorder.stop()


def method_of(seen):
    return seen.split(" ", 1)[0]


def test_payloads_are_many_and_each_has_a_name_and_a_source():
    names = [p.name for p in PAYLOADS]
    assert len(names) >= 150 and len(set(names)) == len(names)
    assert all(p.section for p in [*PAYLOADS, *ANSWERS])


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if p.verdict.kind in ("refuse", "cut")],
                         ids=lambda p: p.name)
def test_ambiguous_request_is_refused_and_never_completed_at_the_instance(stage, payload):
    recorder, port = stage
    recorder.forget()
    client = Asker(port, patient(15))
    client.send(payload.bytes)
    answer = client.response("GET")
    assert answer is not None and answer[0] == payload.verdict.status
    assert client.is_closed() and client.response() is None
    client.close()
    assert [m.seen() for m in recorder.messages] == []
    if payload.verdict.kind == "refuse":
        assert recorder.raws == [] and not any(place[0] for place in recorder.rests)
    assert [c for raw in recorder.raws for c in complaints(raw)] == []


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if p.verdict.kind in ("forward", "own")],
                         ids=lambda p: p.name)
def test_sound_request_goes_on_as_one_that_nobody_misreads(stage, payload):
    recorder, port = stage
    verdict, want = payload.verdict, list(payload.verdict.seen)
    recorder.forget()
    client = Asker(port, patient(15))
    client.send(payload.bytes)
    for seen in want or ["TRACE"]:
        answer = client.response(method_of(seen))
        assert answer is not None and answer[0] == verdict.status
    if verdict.closes:
        while client.response() is not None:
            pass
        assert client.is_closed()
    else:
        client.send(MARKER)
        assert client.response() == (200, b"seen", True)
        want.append("GET /marker|none|")
    client.close()
    assert [m.seen() for m in recorder.messages] == want
    assert [c for raw in recorder.raws for c in complaints(raw)] == []
    names = {name.decode("latin-1") for m in recorder.messages for name, _ in m.fields}
    assert not names & set(verdict.gone)
    assert not any(place[0] for place in recorder.rests), "bytes that belong to nothing"


class Scripted(Recorder):
    """Gives one answer of the list, and a plain one to whoever comes behind it."""

    def __init__(self, entry):
        self.entry, self.order = entry, []
        super().__init__(self.scripted)

    def scripted(self, message):
        if message.line.split(b" ")[1] == b"/script":
            return self.entry.bytes, self.entry.closes
        return self.plain(message)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A listener for each answer, all in one proxy."""
    recorders = [Scripted(entry) for entry in ANSWERS]
    ports = [free_port() for _ in ANSWERS]
    text = "".join("pool p%d { static 127.0.0.1:%d; outlier { failures 0 } }\nlisten http 127.0.0.1:%d { pool p%d }\n" %
                   (i, recorder.port, port, i) for i, (recorder, port) in enumerate(zip(recorders, ports)))
    proxy = rollcall(tmp_path_factory.mktemp("answers"), text, ports)
    yield dict(zip([entry.name for entry in ANSWERS], zip(recorders, ports)))
    assert proxy.stop() == 0, proxy.said()
    for recorder in recorders:
        recorder.stop()


@pytest.mark.parametrize("entry", ANSWERS, ids=lambda entry: entry.name)
def test_answer_without_a_clear_end_reaches_nobody_else(house, entry):
    recorder, port = house[entry.name]
    verdict = entry.verdict
    client = Asker(port, patient(15))
    client.send(("%s /script HTTP/1.1\r\nHost: app.test\r\n\r\n" % entry.method).encode())
    status, body, whole = client.response(entry.method)
    assert status == verdict.status
    if verdict.kind == "truncated":
        assert not whole
        client.close()
        client = Asker(port, patient(15))
    elif verdict.kind == "passed":
        assert whole and body == verdict.body
    if client.ended or client.rest:
        assert not client.rest
        client.close()
        client = Asker(port, patient(15))
    client.send(MARKER)
    after = client.response()
    if after is None:  # it was closed behind the answer
        client = Asker(port, patient(15))
        client.send(MARKER)
        after = client.response()
    assert after == (200, b"seen", True), "the next request gets its own answer"
    assert recorder.connections == (1 if verdict.kept else 2)
    assert [m.seen() for m in recorder.messages] == ["%s /script|none|" % entry.method, "GET /marker|none|"], \
        "an answer is no reason to ask twice"


def test_peers_are_asked_the_same_and_only_ours_is_judged():
    columns = judge_everybody()
    print(written(columns))
    ours = columns.pop("rollcall")
    assert {name: cell for name, cell in ours.items() if "!" in cell or "*" in cell} == {}
    for cells in columns.values():
        assert cells["Payload", "second request behind none"].endswith("-> none none")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path,status", [("/old", 301), ("/robots.txt", 200), ("/shut", 503), ("/few", 429), ("/small", 413),
                                         ("/none", 404), ("/a%2", 400)])
def test_body_behind_an_answer_of_our_own_is_no_request(tmp_path, path, status, framing):
    """Whatever the proxy answers by itself, it does not take the body that follows for a request."""
    recorder, port = Recorder(), free_port()
    proxy = rollcall(tmp_path, """
pool web { static 127.0.0.1:%d }
listen http 127.0.0.1:%d {
    host app.test {
        route /evil { pool web }
        route /old { redirect 301 https://app.test/new }
        route /robots.txt { answer 200 text/plain "none" }
        route /shut { pool web; maintenance on }
        route /few { pool web; limit rate 1/h burst 1 by source }
        route /small { pool web; body_limit 10B }
    }
}
""" % (recorder.port, port), [port])
    evil = b"GET /evil HTTP/1.1\r\nHost: app.test\r\n\r\n"
    try:
        if status == 429:
            first = Asker(port, patient(15))
            first.send(b"GET /few HTTP/1.1\r\nHost: app.test\r\n\r\n")
            assert first.response()[0] == 200
            recorder.forget()
        client = Asker(port, patient(15))
        body = (b"Content-Length: %d\r\n\r\n" % len(evil) + evil if framing == "length" else
                b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(evil) + evil + b"\r\n0\r\n\r\n")
        client.send(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: app.test\r\n" + body)
        answer = client.response()
        assert answer[0] == status
        client.send(MARKER.replace(b"/marker", b"/evil?marker"))
        after = client.response()  # the connection may have ended
        assert after is None or after == (200, b"seen", True)
        assert [m.line for m in recorder.messages] == ([] if after is None else [b"GET /evil?marker HTTP/1.1"])
    finally:
        assert proxy.stop() == 0, proxy.said()
        recorder.stop()
