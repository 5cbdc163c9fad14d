"""Our parser of request heads beside h11 and llhttp: whoever reads a head differently does it by a rule that is written
down (proxy_differential.py; a million heads: make proxy-differential)."""
import shutil

import pytest

h11 = pytest.importorskip("h11")
from proxy_differential import Facts, explain, run, shown  # noqa: E402


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_difference_to_h11_and_llhttp_is_explained(seed):
    tally, unexplained = run(seed, 10000, batch=10000)
    assert not unexplained, shown(unexplained)
    assert tally["we accept"] > 3000, "heads that are refused by all compare nothing"


def test_a_refusal_for_the_wrong_reason_is_a_difference():
    sound = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert explain(sound, "h11", "no host", "ok GET / 1 done: host=h 1") is None
    assert explain(sound, "h11", "ok GET / 1 done: host=h", "ok GET / 1 done: host=i 1") is None
    assert explain(sound, "h11", "ok GET / 1 done: host=h", "ok GET / 1 done:abc host=h 1") is None
    assert explain(sound, "llhttp", "ok GET / 1 done: host=h", "no HPE_INVALID_URL") is None
    assert Facts(sound).values(b"host") == [b"h"]
