"""The derived figures of docs/performance.md: what a token costs, and who is compared with whom."""

from pathlib import Path

import pytest
import render_performance

from ftlib.runtime.files import read_json

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "vocab_size": 10}  # fmt: skip


def row(system: str, setting: str, rate: int, **more) -> dict:
    return {"base": "bf16", "examples": 16, "system": system, "setting": setting, "tokens_per_s": rate,
            "tokens_per_step": 3000} | more  # fmt: skip


def test_flops_of_a_frozen_base():
    """6 FLOP a weight, as for full training, would report half as much again as the GPU did."""
    weights = 2 * (2 * 16 + 2 * 4 * 2 + 3 * 32) + 40
    assert render_performance.matmul_weights(SMALL) == weights
    assert render_performance.flops_per_token(SMALL, mean_tokens=6) == 4 * weights + 12 * 2 * 4 * 3


def test_tinyllama_has_the_weights_of_its_publication():
    """1.1 billion, of which 65 million are an input embedding that nothing is multiplied with."""
    assert render_performance.matmul_weights() + 32_000 * 2048 == pytest.approx(1.1e9, rel=0.01)


def test_each_peer_is_shown_in_its_fastest_setting():
    """Ours against a peer's slow setting would be a comparison with a straw man."""
    rows = [row("ftlib", "compiled step", 900, loss=2.0), row("trl", "packed", 100), row("trl", "padded", 300, loss=2.01),
            row("unsloth", "packed", 450, loss=2.02), row("liger", "padded", 1) | {"error": "x"}]  # fmt: skip
    found = {
        "rows": rows,
        "attention": {"flash_attn": False, "xformers": True},
        "device": "a GPU",
        "versions": {"trl": "1"},
    }
    page = "\n".join(render_performance.render_peers(found))
    assert "| bf16 | 16 | 3,000 | 900 | 450 (packed) | 300 (padded) |" in page and "| 2.0 | 2.00, 2.02, 2.01 |" in page
    assert (
        "without flash_attn, which were" in page and "Below 2.5 times the fastest peer: bf16, 16 examples: 2.0." in page
    )
    assert "Unsloth padded at 16 (bf16)" in page


def job(cache: str, seconds: float, steps: float = 4.0) -> dict:
    return {"compile_cache": cache, "examples": 2000, "seconds": seconds, "phases": {"start": 7.0, "steps": steps}}


def test_the_latest_machine_shows_its_median_warm_job_and_all_machines_every_run():
    """The fastest of several warm jobs would flatter a machine, and the fastest machine would flatter the code."""
    first = {"device": "a GPU", "rows": [job("cold", 30.0), job("warm", 20.0)], "finished": "2026-11-20T10:00:00Z"}
    warm = [job("warm", seconds) for seconds in (29.0, 25.0, 27.0)]
    second = {"device": "a GPU", "rows": [job("cold", 40.0), *warm], "finished": "2026-11-21T11:30:00Z"}
    second["python_seconds"] = 0.62
    page = "\n".join(render_performance.render_phases({"machines": [first, second]}))
    assert "| phase, s | cold | warm |" in page and "| outside the steps | 36.0 | 23.0 |" in page
    assert "| end of the process | 29.0 | 16.0 |" in page, "the phases, 7 and 4 s here, and the end are the whole job"
    assert "| 1 | 2026-11-20 10:00 | – | 26.0 | 16.0 |" in page
    assert "| 2 | 2026-11-21 11:30 | 0.62 | 36.0 | 25.0, 21.0, 23.0 |" in page


def test_phases_of_a_recorded_job_are_no_longer_than_the_job():
    """The start of a process was read to a second only: phases of 17.7 s stood in a job of 17.2."""
    *_, latest = read_json(ROOT / "results" / "job_phases.json")["machines"]
    for row in latest["rows"]:
        assert sum(row["phases"].values()) <= row["seconds"] + 0.1, f"a rounding error at most: {row}"


def test_a_peer_is_compared_with_ours_of_the_same_run():
    """Our best rate comes from another machine, which would make the peer look slower than it is."""
    rows = [
        {"method": "ours", "batch": None, "prompts": 1000, "tokens_per_s": 70_000.0},
        {
            "method": "transformers, generate_batch",
            "batch": None,
            "prompts": 128,
            "tokens_per_s": 1_000.0,
            "ours_in_this_run": 45_000.0,
        },
    ]
    page = "\n".join(render_performance.render_decoding({"device": "a GPU", "rows": rows}))
    assert "ours reached 45,000 tokens/s, 45 times as many" in page
