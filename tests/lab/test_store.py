"""What must be true for everybody at once is, from every node, and while a member of etcd is gone."""
from hosts import until

ALL = ("adm1", "web1", "web2", "pg1", "pg2")


def _put(hosts, name, key, value):
    return hosts.run(name, "curl", "-s", "-m", "20", "-X", "PUT", "-d", value, f"http://127.0.0.1:8500/v1/kv/{key}",
                     check=False).strip()  # an agent may be starting


def _get(hosts, name, key):
    return hosts.run(name, "curl", "-s", "-m", "20", f"http://127.0.0.1:8500/v1/kv/{key}?raw", check=False)


def test_what_one_node_writes_every_node_reads(hosts):
    for writer in ALL:
        until(lambda writer=writer: _put(hosts, writer, f"from/{writer}", writer) == "true", f"{writer} can write")
        for reader in ALL:
            assert _get(hosts, reader, f"from/{writer}") == writer


def test_the_store_survives_the_loss_of_one_member(hosts):
    until(lambda: _put(hosts, "web2", "kept", "before") == "true", "web2 can write")
    hosts.lab.kill(hosts.node("pg1"))
    until(lambda: _put(hosts, "web2", "kept", "after") == "true", "web2 can write without pg1")
    for reader in ("adm1", "web1", "web2", "pg2"):
        until(lambda reader=reader: _get(hosts, reader, "kept") == "after", f"{reader} reads it")
    hosts.lab.start_node(hosts.node("pg1"))
    until(lambda: _get(hosts, "pg1", "kept") == "after", "pg1 reads it too when it is back")


def test_etcd_asks_for_a_certificate(hosts):
    answer = hosts.run("adm1", "curl", "-s", "-k", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"https://{hosts.node('adm1').address}:2379/health", check=False)
    assert answer.strip() == "000"
