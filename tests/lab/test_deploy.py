"""A new version of the webapp costs no request, and one that does not do goes away again by itself."""
import shutil
import subprocess
import sys

import pytest

from hosts import ROOT, until
from deploykit.alone import alone
from deploykit.hosts import API, Namespace
from labkit.lab import APP


@pytest.fixture
def deploy(hosts, tmp_path):
    """deploy(name, change, *options): a version made of the webapp; `change` gets its folder. (exit status, what was said)"""
    def run(name, change, *options):
        folder = shutil.copytree(APP, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        change(folder)
        done = subprocess.run([sys.executable, "-B", str(ROOT / "scripts" / "deploy"), "--lab", hosts.lab.name, "--version", name, "--watch", "1",
                               *options, str(folder)], capture_output=True, text=True, check=False, timeout=200)
        return done.returncode, done.stdout + done.stderr
    return run


@pytest.fixture
def visitors(hosts):
    """A steady stream of requests through web2's proxy while a block runs; what became of them is judged at its end."""
    class Stream:
        def __enter__(self):
            self.load = hosts.load("web2", 60, rate=60, path="/api/todos")
            until(lambda: hosts.run("web2", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1/api/todos") == "200", "it answers")
            return self

        def __exit__(self, *_):
            self.load.send_signal(2)  # enough: the summary is printed
            outcome = hosts.collect(self.load)
            assert outcome["requests"] > 50 and outcome["failed"] == 0, outcome
            assert set(outcome["served_by"]) == {"web1", "web2"}, outcome
    return Stream


def _versions(hosts):
    return {(hosts.lab.webapp_folder(node) / "current").resolve().name for node in hosts.lab.inventory.running("todomvc")}


def _instead(view, does):
    """A version where one view does something else."""
    def change(folder):
        views = folder / "todos" / "views.py"
        views.write_text(views.read_text() + f"\n\ndef {view}(request):\n    {does}\n")
    return change


def _says(text):
    return _instead("health", f'return HttpResponse("{text}\\n", content_type="text/plain")')


def _answers(hosts):
    return {hosts.run("adm1", "curl", "-s", "-m", "20", f"http://{node.address}:8000/health").strip()
            for node in hosts.lab.inventory.running("todomvc")}


def test_a_new_version_costs_no_request(hosts, deploy, visitors):
    with visitors():
        status, said = deploy("second", _says("second"))
    assert status == 0, said
    assert _versions(hosts) == {"second"} and _answers(hosts) == {"second"}, said
    assert hosts.everywhere("todomvc", ["web1", "web2"])


def test_a_version_that_does_not_start_goes_back_and_costs_no_request(hosts, deploy, visitors):
    before = _versions(hosts)
    with visitors():
        status, said = deploy("broken", lambda folder: (folder / "todomvc" / "wsgi.py").write_text("raise SystemExit(3)\n"), "--patience", "4")
    assert status == 1 and "web1: back to" in said and "web2" not in said, said
    assert _versions(hosts) == before and len(before) == 1
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "both are in every answer")


def test_a_version_that_fails_its_visitors_goes_back(hosts, deploy):
    before = _versions(hosts)
    load = hosts.load("web2", 60, rate=60)
    status, said = deploy("faulty", _instead("todos", "return HttpResponse(status=500)"))
    load.send_signal(2)
    assert status == 1 and "requests failed at it since it is back" in said and "web1: back to" in said, said
    outcome = hosts.collect(load)
    assert 0 < outcome["failed"] < outcome["requests"] / 2, outcome
    assert _versions(hosts) == before


def test_the_last_healthy_instance_is_not_taken_away(hosts, deploy):
    hosts.lab.stop(hosts.node("web2"), "todomvc")
    until(lambda: hosts.everywhere("todomvc", ["web1"]), "web2 has left every answer")
    before = _versions(hosts)
    status, said = deploy("lonely", _says("lonely"))
    assert status == 2 and "without web1 0 healthy of todomvc would be left" in said, said
    assert _versions(hosts) == before
    assert hosts.srv_targets("adm1", "todomvc") == ["web1"]


def test_two_do_not_deploy_at_once(hosts, deploy):
    before = _versions(hosts)
    with alone(Namespace(hosts.lab, hosts.node("web1")), "todomvc"):
        status, said = deploy("other", _says("other"))
    assert status == 2 and "todomvc is being deployed already, by" in said, said
    assert _versions(hosts) == before


def test_an_operators_token_is_read_on_the_host_and_asked_with_once(hosts, tmp_path):
    host = Namespace(hosts.lab, hosts.node("web1"))
    host.token = str(tmp_path / "token")
    (tmp_path / "token").write_text("00000000-1111-2222-3333-444444444444\n")
    assert {entry["Node"]["Node"] for entry in host.ask_json(f"{API}/v1/health/service/todomvc")} == {"web1", "web2"}
