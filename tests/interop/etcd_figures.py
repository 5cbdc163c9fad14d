"""Figures of the store on etcd, beside etcd's own gateway: printed, not judged. `make etcd-figures`; wants wrk.

Three members on tmpfs, one server agent before them; each pair is measured in turns, so that a busy machine is busy for both."""
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from etcd_cluster import Cluster, b64, finish  # noqa: E402
from store_agents import Agents, until  # noqa: E402

ROUNDS, SECONDS, KILLS = 3, 3, 5
VALUE = "v" * 90
# Every value is a new one: a put of what is there already is answered without a write.
COUNTER = "local i = os.time() % 100000 * 1000\nfunction request() i = i + 1; local n = i % 5000\n"


def _lua(folder, name, text):
    file = Path(folder) / f"{name}.lua"
    file.write_text(text)
    return file


def _scripts(folder):
    def put(path, body):
        text = body.replace("NNNN", "' .. string.format('%04d', n) .. '").replace("VVVVVVVVVVVV", "' .. string.format('%012d', i) .. '")
        return f"{COUNTER} return wrk.format('POST', '{path}', nil, '{text}') end"
    # Four digits are base64 too: of three bytes, whatever they are.
    key = b64("rollcall/figure/xx") + "NNNN"
    guard = {"key": b64("held/none"), "target": "MOD", "result": "EQUAL", "mod_revision": "0"}
    op = {"key": key, "value": b64(VALUE) + "VVVVVVVVVVVV"}
    return {
        "gateway put": _lua(folder, "put", put("/v3/kv/put", json.dumps(op))),
        "gateway guarded put": _lua(folder, "txn", put("/v3/kv/txn", json.dumps({"compare": [guard], "success": [{"request_put": op}]}))),
        "gateway range": _lua(folder, "range", "wrk.method = 'POST'; wrk.path = '/v3/kv/range'; wrk.body = '" +
                              json.dumps({"key": b64("rollcall/figure/xx") + "0001"}) + "'"),
        "API put": _lua(folder, "api", f"{COUNTER} return wrk.format('PUT', '/v1/kv/figure/' .. n, nil, '{VALUE}' .. string.format('%09d', i)) end"),
        "API get": _lua(folder, "get", "wrk.path = '/v1/kv/figure/1'"),
        "API get stale": _lua(folder, "stale", "wrk.path = '/v1/kv/figure/1?stale'"),
    }


def _wrk(url, script, clients):
    printed = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}", "--latency", "-s", script, url],
                             capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed, printed
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed).group(1))
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed).groups()
    return rate, float(value) * {"us": 1, "ms": 1000, "s": 1e6}[unit]


def _compare(gateway, api, scripts, clients, names):
    """Medians of some rounds, in turns."""
    seen = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            seen[name].append(_wrk(api if name.startswith("API") else gateway, scripts[name], clients))
    base = None
    for name in names:
        rate, p50 = (statistics.median(one[i] for one in seen[name]) for i in (0, 1))
        base = base or (rate, p50)
        print(f"{clients:3} clients  {name:20} {rate:8.0f}/s  p50 {p50 / 1000:7.2f} ms   {rate / base[0]:5.2f}x rate {p50 / base[1]:5.2f}x latency")


def _engine_alone(cluster, clients):
    """The same puts by the engine in a program of its own: guarded, without the store's rules and HTTP."""
    rows = [finish(cluster.begin("put", clients, SECONDS, 90, prefix="alone/")) for _ in range(ROUNDS)]
    rate, p50 = (statistics.median(row[name] for row in rows) for name in ("per_second", "p50_us"))
    print(f"{clients:3} clients  {'engine alone, gRPC':20} {rate:8.0f}/s  p50 {p50 / 1000:7.2f} ms")


def _gateway_back(members, since, found):
    """When a survivor's own gateway took a write again."""
    def ask(member):
        while not found:
            body = json.dumps({"key": b64("rollcall/back"), "value": ""}).encode()
            try:
                urllib.request.urlopen(urllib.request.Request(member.url + "/v3/kv/put", data=body), timeout=0.1).read()
                found.append(time.monotonic() - since)
            except (OSError, urllib.error.URLError):
                time.sleep(0.002)
    for member in members:
        threading.Thread(target=ask, args=(member,), daemon=True).start()


def _leader_kills(cluster):
    theirs, ours = [], []
    for _ in range(KILLS):
        running = cluster.begin("put", 4, 9, prefix="kills/")
        time.sleep(2)
        leader, found = cluster.leader(), []
        leader.kill()
        _gateway_back([member for member in cluster.members if member is not leader], time.monotonic(), found)
        report = finish(running)
        leader.start()
        cluster.ready()
        theirs.append(found[0] * 1000)
        ours.append(report["longest_gap_ms"])
        print(f"leader killed: etcd's gateway takes writes again after {theirs[-1]:6.0f} ms, the engine after {ours[-1]:6.0f} ms "
              f"({ours[-1] - theirs[-1]:+.0f})")
    print(f"leader killed, medians: {statistics.median(theirs):.0f} ms and {statistics.median(ours):.0f} ms")


def main():
    if shutil.which("wrk") is None:
        sys.exit("etcd_figures: wrk is not installed")
    folder = tempfile.mkdtemp(prefix="rollcall-figures-")
    cluster, agents = Cluster(3), Agents(folder)
    try:
        cluster.start()
        server = agents.server(store={"engine": "etcd", "endpoints": [member.url for member in cluster.members]})
        server.start().ready()
        scripts, gateway, api = _scripts(folder), cluster.members[0].url, f"http://{server.address}:8500"
        until(lambda: server.call("PUT", "/v1/kv/figure/1", VALUE).status == 200)
        cluster.members[0].put(b"rollcall/figure/xx\xd3\x4d\x35", VALUE)
        for clients in (1, 16, 64):
            _compare(gateway, api, scripts, clients, ("gateway put", "gateway guarded put", "API put"))
            _engine_alone(cluster, clients)
        for clients in (1, 16, 64):
            _compare(gateway, api, scripts, clients, ("gateway range", "API get", "API get stale"))
        agents.end()
        _leader_kills(cluster)
    finally:
        agents.end()
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
