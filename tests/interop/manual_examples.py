"""The configurations that the manual shows, so that what is tested is what people copy."""
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "agent/rollcall-dns.7"
PLAIN = {r"\(dq": '"', r"\e": "\\", r"\-": "-", r"\&": ""}


def examples(section, page=PAGE):
    """The blocks of a section or subsection of the page, such as "unbound", as one would write them into a file."""
    found = re.search(rf"^\.S[hs] {re.escape(section)}\n(.*?)(?=^\.S[hs] |\Z)", page.read_text(), re.S | re.M)
    assert found, section
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", found.group(1), re.S | re.M)
    for escaped, plain in PLAIN.items():
        blocks = [block.replace(escaped, plain) for block in blocks]
    return blocks


def example(section, page=PAGE):
    """The first of them."""
    return examples(section, page)[0]
