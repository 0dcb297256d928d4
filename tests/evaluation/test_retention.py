"""General text: what is scored, that it is stored, and what the report says of it."""

import math

import pytest
import smoke
import torch

from ftlib.cli.entry import main
from ftlib.evaluation import retention, runner
from ftlib.evaluation.retention import WINDOW, retention_sums, retention_text, summarize_retention, windows
from ftlib.export.model_card import card
from ftlib.prompts.encoding import IGNORED
from ftlib.reporting.sentences import about_retention
from ftlib.reporting.tables import retention_table
from ftlib.runtime.files import read_json, write_json


def test_the_text_is_there_and_its_license_beside_it():
    """A text without its source cannot be shipped, and one that is not in the package cannot be scored."""
    from importlib import resources

    text = retention_text()
    assert text.isascii() and 19_000 < len(text) <= 20_000 and text.endswith(".\n")
    about = (resources.files("ftlib.evaluation") / "retention_license.txt").read_text(encoding="utf-8")
    assert "Python Software Foundation; All Rights Reserved" in about and "Changes made to it" in about


@pytest.mark.parametrize("family", ["zephyr", "no_bos", "chatml"])
def test_every_byte_is_scored_once_but_for_the_first_tokens(family):
    """Bytes that are counted twice, or not at all, make the figure depend on the tokenizer."""
    tok, text = smoke.tokenizer(family), retention_text()[:6000]
    examples, sizes = windows(tok, text)
    ids = tok(text, add_special_tokens=False)["input_ids"]
    has_bos = family == "zephyr"
    kept = [token for example in examples for token in example["input_ids"][has_bos:]]
    assert kept == ids and len(examples) == math.ceil(len(ids) / WINDOW)
    for example in examples:
        assert example["labels"][0] == IGNORED and IGNORED not in example["labels"][1:]
        assert (example["input_ids"][0] == tok.bos_token_id) == has_bos
    if has_bos:
        assert sum(sizes) == len(text)
    else:
        unscored = [len(tok.decode(example["input_ids"][:1])) for example in examples]
        assert len(text) - sum(sizes) == sum(unscored)


def test_sums_are_those_of_windows_scored_one_by_one():
    """A window that sees the one before it has an easier text to continue."""
    model, tok = smoke.sharp_model(), smoke.tokenizer("no_bos")
    nats, sizes = retention_sums(model, tok)
    ids = tok(retention_text(), add_special_tokens=False)["input_ids"]
    assert len(nats) == len(sizes) == math.ceil(len(ids) / WINDOW)
    for index in (0, 3, len(nats) - 1):
        window = torch.tensor([ids[index * WINDOW : (index + 1) * WINDOW]])
        with torch.no_grad():
            logits = model(window, use_cache=False).logits[0].float()
        alone = torch.nn.functional.cross_entropy(logits[:-1], window[0, 1:], reduction="sum")
        assert nats[index] == pytest.approx(alone.item(), rel=1e-4)


@pytest.mark.slow
def test_an_evaluation_has_it_and_resumes_without_a_model(smoke_run, monkeypatch):
    """Loading two models to add one figure would make every reopened notebook wait."""
    folder = smoke_run.path / "evaluation"
    block, stored = read_json(folder / "metrics.json")["retention"], read_json(folder / "retention.json")
    assert block["n"] == len(stored["base"]["nats"]) and set(block["systems"]) == {"base", "tuned"} == set(stored)
    mean = block["systems"]["tuned"]["nll_per_byte"]["mean"]
    assert mean == pytest.approx(sum(stored["tuned"]["nats"]) / sum(stored["tuned"]["bytes"]))
    change = block["differences"]["tuned-base"]["nll_per_byte"]
    assert change["ci95"][0] <= change["mean"] <= change["ci95"][1]
    assert mean - block["systems"]["base"]["nll_per_byte"]["mean"] == pytest.approx(change["mean"])

    def no_model(*_):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(runner, "_load", no_model)
    assert main(["evaluate", "--run", str(smoke_run.path), "--set", "evaluation.bootstrap=300"]) == 0
    assert read_json(folder / "retention.json") == stored
    monkeypatch.undo()
    assert main(["evaluate", "--run", str(smoke_run.path)]) == 0


def test_sums_of_another_model_do_not_count(tmp_path):
    """After a new training, the old model's figure would be reported for the new one."""
    cfg, loaded = smoke.config(), []

    def load():
        loaded.append(1)
        return smoke.sharp_model()

    for merged in ("one", "one", "two"):
        retention.add_missing(tmp_path, "tuned", retention.retention_keys(cfg, merged, "float32")["tuned"], cfg, load)
    keys = [retention.retention_keys(cfg, merged, "float32") for merged in ("one", "two")]
    assert len(loaded) == 2 and keys[0]["base"] == keys[1]["base"]


def change_of(low: float, high: float) -> dict:
    interval = {"nll_per_byte": {"mean": (low + high) / 2, "ci95": [low, high]}}
    return {"n": 18, "systems": {"base": interval, "tuned": interval}, "differences": {"tuned-base": interval}}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.03, "rose (0.0200 [0.0100, 0.0300] nats), so the fine-tuned model forgot some of it"),
        (-0.01, 0.03, "did not change beyond chance (0.0100 [-0.0100, 0.0300] nats), so no forgetting is shown"),
        (-0.03, -0.01, "fell (-0.0200 [-0.0300, -0.0100] nats), so the fine-tuned model forgot none of it"),
    ],
)
def test_the_sentence_says_what_the_interval_says(low, high, words):
    """A sentence that claims forgetting where chance explains it, or hides it, is worse than no sentence."""
    assert words in about_retention(change_of(low, high))


def test_report_card_and_table_show_it(smoke_run):
    """A figure that is in a JSON file alone is read by nobody."""
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    cells = retention_table(metrics).rows[0]
    page = (smoke_run.path / "evaluation" / "report.html").read_text(encoding="utf-8")
    text = card(smoke_run)
    assert cells[1].partition(" [")[0] in page and "General text (n = " in page
    assert f"| {' | '.join(cells)} |" in text and "General text (n = " in text


def test_evaluations_from_before_it_are_still_shown(smoke_run):
    """A recorded evaluation without the figure would end in a KeyError when its report is opened."""
    from ftlib.reporting import html_report, sentences

    path = smoke_run.path / "evaluation" / "metrics.json"
    metrics = read_json(path)
    older = {key: value for key, value in metrics.items() if key != "retention"}
    assert not any("General text" in sentence for sentence in sentences.findings(older))
    write_json(path, older)
    try:
        assert "General text" not in card(smoke_run)
    finally:
        write_json(path, metrics)
    line = {"uid": "a", "split": "unseen", "title": "t", "question": "q", "reference": "r", "base": "b", "tuned": "c",
            "delta": 0.0, "rougeL_base": 0.0, "rougeL_tuned": 0.0}  # fmt: skip
    assert "General text" not in html_report.html(smoke_run.path, older, [line])


def test_two_systems_are_compared_window_by_window():
    """The windows are the same for both, so what makes one hard for both must cancel out."""
    base, tuned = ([100.0, 900.0, 400.0], [1000, 1000, 1000]), ([110.0, 910.0, 410.0], [1000, 1000, 1000])
    block = summarize_retention({"base": base, "tuned": tuned})
    change = block["differences"]["tuned-base"]["nll_per_byte"]
    assert change["mean"] == pytest.approx(0.01) and change["ci95"] == pytest.approx([0.01, 0.01])
    assert (change["wins"], change["losses"]) == (0, 3)
