"""HAProxy and nginx find services by our DNS, as the manual page configures them, and follow what becomes of them."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from dns_consumers import follows_changes, house, listens, needs, page, programs, reached  # noqa: E402,F401


@pytest.mark.parametrize("server", ["", "tcp@"], ids=["udp", "tcp"])
def test_haproxy_follows_srv_records(programs, server):  # noqa: F811
    needs("haproxy")
    written = page("HAProxy")
    assert "nameserver agent 127.0.0.1:8600\n" in written and " 5s\n" in written
    config = programs.folder / f"haproxy{server}"
    config.write_text(written.replace("agent 127", f"agent {server}127").replace(" 5s\n", " 300ms\n"))
    before = programs.tcp_queries()
    programs.begin("haproxy", ["haproxy", "-db", "-f", str(config)])
    listens("127.0.0.1", 8080)
    follows_changes(programs, lambda: reached(8080), "HAProxy")
    assert (programs.tcp_queries() > before) == (server == "tcp@")


def test_nginx_follows_addresses_of_a_variable_upstream(programs):  # noqa: F811
    needs("nginx")
    folder = programs.folder / "nginx"
    folder.mkdir(exist_ok=True)
    paths = "".join(f" {what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "conf").write_text(page("nginx").replace("http {\n", f"http {{ access_log off;{paths}\n", 1))
    programs.begin("nginx", ["nginx", "-p", str(folder), "-c", str(folder / "conf"), "-e", str(folder / "errors"),
                             "-g", f"daemon off; user root; pid {folder}/pid;"])
    listens("127.0.0.1", 8081)
    follows_changes(programs, lambda: reached(8081), "nginx")
