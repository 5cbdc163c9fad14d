"""Who is left answers for what lives, from its own memory."""
from hosts import until


def _failed(hosts, name):
    return {check["Node"] for check in hosts.api_json(name, "/v1/health/state/critical") if check["CheckID"] == "serfHealth"}


def _warned(hosts, name):
    """The nodes whose webapp serves, and warns."""
    entries = hosts.api_json(name, "/v1/health/service/todomvc")
    worst = {entry["Node"]["Node"]: {check["Status"] for check in entry["Checks"]} for entry in entries}
    return sorted(node for node, statuses in worst.items() if statuses == {"passing", "warning"})


def test_two_of_five_agents_still_answer_everything(hosts):
    gone, left = ("adm1", "pg1", "pg2"), ("web1", "web2")
    for name in gone:
        hosts.lab.kill(hosts.node(name))
    for name in left:
        until(lambda name=name: hosts.lab.alive_members(hosts.node(name)) == 2, f"{name} sees that two are left")
        until(lambda name=name: hosts.srv_targets(name, "todomvc") == ["web1", "web2"], f"{name} names both webapps")
        assert hosts.dig(name, "postgres.service.rollcall", "A") == []
        # They serve, though they warn that no database is there.
        until(lambda name=name: _warned(hosts, name) == ["web1", "web2"], f"{name} sees both webapps warn")
        until(lambda name=name: _failed(hosts, name) == set(gone), f"{name} tells who has failed")
    assert hosts.run("web1", "curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1/health") == "200"


def test_a_cut_cable_heals_without_help(hosts):
    hosts.lab.network.cut(hosts.node("web2"))
    until(lambda: hosts.srv_targets("adm1", "todomvc") == ["web1"], "the others have dropped web2")
    until(lambda: hosts.srv_targets("web2", "todomvc") == ["web2"], "web2 still answers for itself")
    hosts.lab.network.heal(hosts.node("web2"))
    until(hosts.all_alive, "all see each other again")
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "every answer is whole again")
