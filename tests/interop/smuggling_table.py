"""What rollcall-proxy, nginx and HAProxy do with each payload of smuggling/: printed, and with --write kept in
smuggling/peers.md (`make proxy-smuggling`).

A cell: the statuses the client read; behind "->" how each request that reached the instance whole was framed; "!" and what
leaves a forwarded head open to two readings; "half" when bytes of one reached it that never became whole.
"""
import argparse
import contextlib
import pathlib
import queue
import shutil
import tempfile
import threading

from proxy_lab import free_port
from proxy_peers import haproxy, nginx, rollcall, version
from smuggling.recorder import Asker, Recorder, complaints
from smuggling.requests import PAYLOADS, Payload
from smuggling.responses import ANSWERS

LANES = 12
QUIET = 0.4  # seconds without a byte: nothing more is coming


def start_rollcall(directory, lanes):
    text = "".join("pool p%d { static 127.0.0.1:%d; outlier { failures 0 } }\nlisten http 127.0.0.1:%d { pool p%d }\n" %
                   (i, recorder.port, port, i) for i, (recorder, port) in enumerate(lanes))
    return rollcall(directory, text, [port for _, port in lanes])


def start_haproxy(directory, lanes):
    text = "".join("listen l%d\n    bind 127.0.0.1:%d\n    server app 127.0.0.1:%d\n" % (i, port, recorder.port)
                   for i, (recorder, port) in enumerate(lanes))
    return haproxy(directory, text, [port for _, port in lanes])


def start_nginx(directory, lanes):
    text = "".join("""
    upstream u%d { server 127.0.0.1:%d max_fails=0; keepalive 4; }
    server {
        listen 127.0.0.1:%d;
        location / {
            proxy_pass http://u%d;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
        }
    }
""" % (i, recorder.port, port, i) for i, (recorder, port) in enumerate(lanes))
    return nginx(directory, text, [port for _, port in lanes])


STARTERS = {"rollcall": start_rollcall, "nginx": start_nginx, "HAProxy": start_haproxy}


def statuses(asker, method):
    read = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        while len(read) < 5:
            answer = asker.response(method)
            if answer is None:
                break
            read.append("%d%s" % (answer[0], "" if answer[2] else " cut"))
    return " ".join(read) or ("closed" if asker.ended else "waits")


def judge_request(recorder, port, payload):
    recorder.forget()
    asker = Asker(port, QUIET)
    asker.send(payload.bytes)
    cell = statuses(asker, "HEAD" if payload.bytes.lstrip().startswith(b"HEAD") else "GET")
    asker.close()
    with recorder.lock:
        framings = [m.framing + ("*" if m.line.startswith(b"GET /evil ") else "") for m in recorder.messages]
        wrong = sorted({c for raw in recorder.raws for c in complaints(raw)})
        half = len(recorder.raws) > len(recorder.messages) or any(place[0] for place in recorder.rests)
    cell += " -> " + " ".join(framings) if framings else ""
    cell += " ! " + ", ".join(wrong) if wrong else ""
    return cell + (" half" if half else "")


def judge_answer(recorder, port, entry):
    recorder.forget()
    before = recorder.connections
    recorder.answer = lambda message: ((entry.bytes, entry.closes) if b"/script" in message.line else recorder.plain(message))
    asker = Asker(port, QUIET)
    asker.send(("%s /script HTTP/1.1\r\nHost: app.test\r\n\r\n" % entry.method).encode())
    cell = statuses(asker, entry.method)
    asker.close()
    asker = Asker(port, 5 * QUIET)
    asker.send(b"GET /marker HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
    answer = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        answer = asker.response()
    asker.close()
    if answer is None or answer[1] != b"seen":
        cell += " ! next: %s" % (answer and answer[1][:20],)
    return cell + (" kept" if recorder.connections == before + 1 else "")


def judge_all(name, directory):
    """{payload name: cell} of one proxy, and the same of answers."""
    recorders = [Recorder() for _ in range(LANES)]
    lanes = [(recorder, free_port()) for recorder in recorders]
    peer = STARTERS[name](directory, lanes)
    jobs, cells = queue.SimpleQueue(), {}
    for entry in [*PAYLOADS, *ANSWERS]:
        jobs.put(entry)

    def work(lane):
        while True:
            try:
                entry = jobs.get_nowait()
            except queue.Empty:
                return
            judge = judge_request if isinstance(entry, Payload) else judge_answer
            cells[type(entry).__name__, entry.name] = judge(*lane, entry)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    peer.stop()
    for recorder in recorders:
        recorder.stop()
    return cells


def table(columns):
    heads = list(columns)
    lines = []
    for title, entries, kind in (("Requests", PAYLOADS, "Payload"), ("Answers", ANSWERS, "Answer")):
        lines += ["", "## %s (%d)" % (title, len(entries)), "", "| %s | RFC | %s |" % (title.lower(), " | ".join(heads)),
                  "|---" * (2 + len(heads)) + "|"]
        lines += ["| %s | %s | %s |" % (entry.name, entry.section, " | ".join(columns[head][kind, entry.name] for head in heads))
                  for entry in entries]
    return lines


def summary(columns):
    said = []
    for head, cells in columns.items():
        wrong = sum("!" in cell for cell in cells.values())
        evil = sum("*" in cell for cell in cells.values())
        said.append("%s: %d of %d forwarded in a form that can be misread or answered to another; %d let a hidden request through"
                    % (head, wrong, len(cells), evil))
    return said


def judge_everybody():
    """{"nginx 1.22.1": cells}, of those that are installed."""
    columns = {}
    for name in STARTERS:
        if name != "rollcall" and not shutil.which(name.lower()):
            continue
        with tempfile.TemporaryDirectory(prefix="rollcall-smuggling-") as directory:
            label = name if name == "rollcall" else "%s %s" % (name, version(name.lower()))
            columns[label] = judge_all(name, pathlib.Path(directory))
    return columns


def written(columns):
    said = ["# peers - what each proxy does with requests and answers of two readings", "", __doc__.split("\n\n")[1].strip(), "",
            "A hidden request that was served is marked `*`. Written by `make proxy-smuggling`; only rollcall's column is judged, by "
            "test_proxy_smuggling.py.", "", *summary(columns), *table(columns)]
    return "\n".join(said) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true")
    write = options.parse_args().write
    text = written(judge_everybody())
    print(text)
    if write:
        (pathlib.Path(__file__).parent / "smuggling" / "peers.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
