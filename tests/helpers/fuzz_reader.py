"""Bytes that a machine thinks of, led by which lines of ftlib they reach (atheris, Google's fuzzer for Python).

What: each input is a block of lines; every line is a row or counted, and lines that are decoded together give the same rows as
one by one. Then the rows are cleaned. Why beside hypothesis: it keeps inputs that reached new code and mutates them.
How: pip install -e ".[fuzz]"; python tests/helpers/fuzz_reader.py -atheris_runs=100000. `pytest -m slow` runs it.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ftlib"]):
    from ftlib.config.settings import Config
    from ftlib.data import raw_reader
    from ftlib.data.funnel import Funnel
    from ftlib.data.scan import keep

CFG = Config.load("smoke", env={})
GOOD = b'{"uid": "a", "title": "Lamp &amp; <b>cord</b>", "content": "It shines  for a long time.", "target_ind": [1]}\n'


def rows_of(block: bytes, together: bool) -> tuple[list, int]:
    malformed, quick = raw_reader.Malformed(), raw_reader._one_a_line
    raw_reader._one_a_line = quick if together else lambda block: []
    try:
        return list(raw_reader.rows_in(block, malformed)), malformed.total
    finally:
        raw_reader._one_a_line = quick


def one_input(data: bytes) -> None:
    for block in (data, GOOD + data, GOOD + data + b"\n" + GOOD):
        found, lost = rows_of(block, together=True)
        if (found, lost) != rows_of(block, together=False):
            raise AssertionError(f"decoded together {found}")
        if len(found) + lost != sum(bool(line.strip()) for line in block.split(b"\n")):
            raise AssertionError("a line is neither a row nor counted")
        keep([row for _, row in found], CFG, Funnel())


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
