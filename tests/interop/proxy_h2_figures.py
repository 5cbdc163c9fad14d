"""The part `h2` of proxy_figures.py: HTTP/2 over TLS with the same certificate for all, 100 streams over four connections, by h2load."""
import re

import proxy_rivals
import proxy_tls_figures
from dns_traffic import CLIENT_CORE, CORES
from proxy_rivals import Peers, find

REQUESTS = 60000


def http2(listen, workers, folder, to):
    """What the part `tls` makes, with HTTP/2 by ALPN."""
    commands = proxy_tls_figures.https(listen, workers, folder, to)
    for name, before, after in (("nginx.conf", " ssl backlog=4096;", " ssl http2 backlog=4096; keepalive_requests 100000000;"),
                                ("haproxy.cfg", " ssl crt ", " alpn h2 ssl crt "), ("rollcall.conf", "p256.key }", "p256.key; http2 on }")):
        text = (folder / name).read_text()
        assert before in text, (name, before)
        (folder / name).write_text(text.replace(before, after))
    return commands


def sample(figures, peers, peer):
    command = [*figures.load_words(peers), find("h2load"), "-n", str(REQUESTS), "-c4", "-m25", f"https://127.0.0.1:{peer.port}/1k"]
    said, cpu, seconds = figures.watch_cpu(peer, command)
    done = int((re.findall(r"(\d+) succeeded", said) or ["0"])[0])
    return {"rate": done / seconds, "us": cpu * 1e6 / max(done, 1), "errors": REQUESTS - done, "p50_us": 1, "p99_us": 1}


def show(folder, figures):
    """`figures` is proxy_figures: its watch_cpu, measured and show."""
    for workers in sorted({1, len(CORES)}):
        origin = proxy_rivals.origin(CORES if workers > 1 else (CLIENT_CORE,))
        peers = Peers(folder / f"h2_{workers}", ["nginx", "haproxy", "rollcall"], workers, http2)
        try:
            with peers as running:
                figures.show(f"1 KB over HTTP/2 and TLS 1.3, 100 streams, {workers} worker{'s' * (workers > 1)}",
                             figures.measured(running, lambda peer, peers=peers: sample(figures, peers, peer)))
        finally:
            origin.end()
