"""Tags are the same on both sides, also when they change."""
import pytest

from serf_pool import LONG, Serf, until


def all_see(pool, name, key, value):
    until(LONG, lambda: all(program.tags(name).get(key) == value for program in pool.made),
          lambda: "%s of %s is %s: %s" % (key, name, value, [program.tags(name) for program in pool.made]))


def test_tags_of_serf_reach_us(mixed):
    all_see(mixed, "s1", "role", "db")
    all_see(mixed, "s1", "zone", "east")


def test_a_tag_that_serf_sets_changes_or_deletes_is_seen_by_all(mixed):
    serf = mixed.made[0]
    for value in ("one", "two"):
        serf.ask("tags", "-set", "lap=" + value)
        all_see(mixed, "s1", "lap", value)
    serf.ask("tags", "-delete", "lap")
    all_see(mixed, "s1", "lap", None)
    all_see(mixed, "s1", "role", "db")


@pytest.mark.parametrize("words,role", [(["-server"], "consul"), ([], "node")])
def test_our_tags_after_a_restart_are_seen_by_serf(mixed, words, role):
    agent = mixed.made[4]
    agent.kill()
    agent.command = [word for word in agent.command if word != "-server"] + words
    agent.start()
    mixed.agree()
    all_see(mixed, agent.name, "role", role)


def test_nothing_of_it_annoyed_serf(mixed):
    for program in mixed.made:
        if isinstance(program, Serf):
            # What a killed member leaves in the log of those that were talking to it.
            assert program.complaints(r"refused|reset|EOF|i/o timeout|fallback") == []
