"""A minute of changes in our catalog beside two serfs: nothing that we send bothers them."""
import time

import pytest
from serf_pool import LONG, Serf, until

SECONDS = 60


@pytest.mark.slow
def test_serf_has_nothing_to_say_about_a_minute_of_catalog_churn(mixed):
    agents = [program for program in mixed.made if not isinstance(program, Serf)]
    end = time.monotonic() + SECONDS / 2  # for each of the two pools, plain and encrypted
    lap = 0
    while time.monotonic() < end:
        agent = agents[lap % 3]
        name = "service-%d" % (lap // 3 % 10)
        service = {"Name": name, "Port": 1000 + lap % 100, "Tags": ["lap-%d" % lap], "Check": {"TTL": "1h", "Status": "passing"}}
        agent.api("/v1/agent/service/register", "PUT", service)
        agent.api("/v1/agent/check/%s/service:%s" % (("fail", "warn", "pass")[lap // 30 % 3], name), "PUT")
        if lap % 7 == 6:
            agent.api("/v1/agent/service/deregister/" + name, "PUT")
        lap += 1
        time.sleep(0.02)

    def catalogs():
        return [sorted((node["Node"]["Node"], node["Service"]["ID"], node["Service"]["Tags"], node["Checks"][-1]["Status"])
                       for name in agent.api("/v1/catalog/services") if name.startswith("service-")
                       for node in agent.api("/v1/health/service/" + name)) for agent in agents]
    until(LONG, lambda: catalogs()[0] and all(one == catalogs()[0] for one in catalogs()), lambda: "one catalog: %s" % catalogs())
    mixed.agree()
    for serf in mixed.made:
        if isinstance(serf, Serf):
            assert serf.complaints() == []
