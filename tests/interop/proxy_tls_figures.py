"""The part `tls` of proxy_figures.py: the same ECDSA P-256 certificate, TLS 1.3 and one cipher for all; requests on kept connections, and
handshakes, full and resumed."""
import re
import subprocess

import proxy_rivals
from dns_traffic import CLIENT_CORE, CORES, on
from proxy_rivals import Peers, find

CIPHER = "TLS_AES_128_GCM_SHA256"
SECONDS = 2


def make_certificate(folder):
    key, certificate = folder / "p256.key", folder / "p256.crt"
    subprocess.run([find("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    (folder / "p256.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, key


def https(listen, workers, folder, to):
    """What proxy_rivals.http makes, with TLS towards the client."""
    certificate, key = make_certificate(folder)
    commands = proxy_rivals.http(listen, workers, folder, to)
    edits = {
        "nginx.conf": [(f"listen 127.0.0.1:{listen['nginx']} backlog=4096;",
                        f"listen 127.0.0.1:{listen['nginx']} ssl backlog=4096; ssl_certificate {certificate}; ssl_certificate_key {key};"
                        " ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; ssl_session_timeout 1d; ssl_ecdh_curve X25519:P-256;"
                        f" ssl_conf_command Ciphersuites {CIPHER};")],
        "haproxy.cfg": [(f"bind 127.0.0.1:{listen['haproxy']} backlog 4096",
                         f"bind 127.0.0.1:{listen['haproxy']} backlog 4096 ssl crt {folder}/p256.pem curves X25519:P-256 ciphersuites {CIPHER}")],
        "rollcall.conf": [("keepalive 10m", f"keepalive 10m; tls {{ certificate {certificate} key {key} }}")],
    }
    for name, changes in edits.items():
        text = (folder / name).read_text()
        for before, after in changes:
            assert before in text, (name, before)
            text = text.replace(before, after)
        (folder / name).write_text(text)
    return {name: commands[name] for name in ("nginx", "haproxy", "rollcall") if name in commands}


def shakes(watch_cpu, peers, peer, kind):
    """New connections, one request each, with openssl s_time: as many as one client makes."""
    where = on(CLIENT_CORE) if peers.workers == 1 else on(",".join(map(str, CORES)))
    command = [*where, find("openssl"), "s_time", "-connect", f"127.0.0.1:{peer.port}", f"-{kind}", "-tls1_3", "-time", str(SECONDS),
               "-www", "/1k", "-ciphersuites", CIPHER]
    said, cpu, seconds = watch_cpu(peer, command)
    found = re.findall(r"(\d+) connections in \d+ real seconds", said)
    count = int(found[-1]) if found else 0
    return {"rate": count / seconds, "us": cpu * 1e6 / max(count, 1), "errors": 0 if count else 1, "p50_us": 1, "p99_us": 1}


def show(folder, figures):
    """`figures` is proxy_figures: its wrk, watch_cpu, measured and show."""
    for workers in sorted({1, len(CORES)}):
        origin = proxy_rivals.origin(CORES if workers > 1 else (CLIENT_CORE,))
        peers = Peers(folder / f"tls{workers}", ["nginx", "haproxy", "rollcall"], workers, https)
        plural = f"{workers} worker{'s' * (workers > 1)}"
        try:
            with peers as running:
                for row, words in (("64 connections", ["-c64"]), ("closing, 64 (wrk resumes its sessions)", ["-c64", "-H", "Connection: close"])):
                    figures.show(f"1 KB over TLS 1.3, {row}, {plural}",
                                 figures.measured(running, lambda peer, words=words: figures.wrk(peers, peer, words, scheme="https")))
                for kind, row in (("new", "full"), ("reuse", "resumed")):
                    figures.show(f"{row} handshakes, one client, {plural}",
                                 figures.measured(running, lambda peer, kind=kind: shakes(figures.watch_cpu, peers, peer, kind)))
        finally:
            origin.end()
