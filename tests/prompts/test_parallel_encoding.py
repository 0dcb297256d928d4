"""Rows that several processes encode are those that one process encodes."""

import subprocess
import sys

import pytest
import smoke

from ftlib.prompts import encoding, parallel_encoding
from ftlib.runtime import hardware, processes


@pytest.mark.slow
def test_several_processes_encode_what_one_does(monkeypatch):
    """A row whose passages came from its neighbor would be trained with another prompt."""
    monkeypatch.setattr(parallel_encoding, "LEAST_PROCESSES", 2)
    monkeypatch.setattr(parallel_encoding, "ROWS_WITH_PASSAGES", 10)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 2)
    rows = smoke.dataset()["train"]
    train, passages = smoke.config().train, {row["uid"]: [(row["title"], row["content"])] for row in [*rows][::3]}
    splits = [(rows, train), (smoke.dataset()["validation"], train.as_measured())]
    found = parallel_encoding.encode_on_all_cores(smoke.tokenizer(), splits, passages=passages)
    assert found == [encoding.encode_rows(smoke.tokenizer(), *split, passages=passages) for split in splits]


def test_workers_import_no_torch():
    """On a machine with many cores sixteen processes would each take seconds to import what they do not use."""
    check = (
        "import sys\n"
        + "".join(f"import {name}\n" for name in processes.PRELOADED_EARLY)
        + "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout.strip() == "False"
