"""The same rows on every machine: the data set's fingerprint, written down. It needs no torch and no datasets (.ci/pythons)."""

import hashlib
import json

import pytest

from ftlib.config.settings import Config
from ftlib.data.dataset import first_pass, second_pass
from ftlib.data.funnel import Funnel
from ftlib.data.splits import choose

pytestmark = pytest.mark.integration

# Of the synthetic sample. A change of these is a change of every result that was ever recorded: it needs a reason.
GOLDEN = {
    "smoke": "ab4039b663a35d25",
    "cpu": "aac70a71b021d0e5",
    "gpu": "f9c8fdafcfcea538",
}


@pytest.mark.parametrize("profile", GOLDEN)
def test_the_data_set_is_the_same_everywhere(profile):
    """Another order of a dict, another Unicode table or hash, and a colleague's test rows are those that you trained on."""
    cfg, funnel = Config.load(profile, env={}, **{"data.path": "sample"}), Funnel()
    kept = first_pass(cfg, funnel)
    chosen, _ = choose(cfg, kept, funnel.notes)
    rows = second_pass(cfg, kept, chosen)
    assert all(rows.values())
    assert hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16] == GOLDEN[profile]
