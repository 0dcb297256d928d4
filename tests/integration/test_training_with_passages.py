"""A run whose training prompts carry passages, from rows to report, demo and export."""

import json

import numpy as np
import pytest
import smoke
from datasets import Dataset, DatasetDict

from ftlib.cli.entry import main
from ftlib.config.settings import Config
from ftlib.data.cleaning import normalize
from ftlib.export.gguf import modelfile
from ftlib.export.model_card import card
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset, recorded_settings
from ftlib.retrieval.bm25_index import build
from ftlib.retrieval.passages import drawn, training_passages
from ftlib.runtime.files import read_json, write_json
from ftlib.training import token_cache

OPTIONS = ["--profile", "smoke", "--data", "sample", "--set", "train.max_steps=2", "--set", "train.context_tokens=96"]
OPTIONS += ["--set", "train.context_rows=2", "--set", "generation.max_new_tokens=12"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("passages") / "run"
    assert main(["run", *OPTIONS, "--run", str(path)]) == 0
    return Run(path)


def test_evaluation_asks_with_and_without_passages(run):
    """What retrieval is worth must be measured wherever a model was trained for it, without another option."""
    metrics = read_json(run.path / "evaluation" / "metrics.json")
    systems = metrics["unseen"]["systems"]
    assert {"base_open", "tuned_open"} <= systems.keys() and "copied_passage" in systems["tuned_open"]
    counts = metrics["unseen"]["passages"]
    assert counts["rows"] == metrics["unseen"]["n"] and counts["passages"] == 2 * counts["rows"]
    assert metrics["unseen_new"]["n"] + metrics.get("unseen_similar", {"n": 0})["n"] == metrics["unseen"]["n"]
    assert "unseen_near" not in metrics  # the split keeps near-duplicates together
    page = (run.path / "evaluation" / "report.html").read_text()
    assert "new products" in page and "copied_passage" in page


def test_a_share_of_the_prompts_carries_passages_and_the_answers_stay(run):
    """The scored part of a description must be the same with and without passages, or their figures do not compare."""
    manifest = run.stage("adapter").manifest()
    assert 0 < manifest["examples_with_passages"] < manifest["examples"]
    cfg = Config.load("smoke", inherited=recorded_settings(run, "merged"), env={})
    dataset, folder = load_dataset(run), run.stage("dataset").path
    passages = training_passages(cfg, dataset, run.stage("index").path, folder / "passages")
    rows = dataset["train"]
    flat = {
        name: token_cache.encoded(smoke.tokenizer(), [(rows, cfg.train)], folder / "encoded", shown)[0]
        for name, shown in (("with", passages), ("without", None))
    }
    answers = {
        name: [
            each.ids[start + prompt : end].tolist()
            for start, prompt, end in zip(each.starts[:-1], each.prompt_tokens, each.starts[1:], strict=True)
        ]
        for name, each in flat.items()
    }
    assert answers["with"] == answers["without"]
    longer = np.flatnonzero(flat["with"].prompt_tokens > flat["without"].prompt_tokens).tolist()
    assert {rows["uid"][index] for index in longer} == passages.keys() & set(rows["uid"])
    assert flat["with"].lengths.max() <= cfg.train.row_length == cfg.train.max_length + 96


def test_demo_uses_passages_unless_told_otherwise(run, capsys):
    """A model that was trained with passages would be shown at its worst."""
    from ftlib.app import console, model_pair

    pair = model_pair.load_pair(Config.load("smoke", inherited=recorded_settings(run, "evaluation"), env={}), run)
    assert pair.open_book and pair.context_tokens == 96 and pair.open_rows == 2
    title = load_dataset(run)["train"]["title"][0]
    prompts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_pair, "stream_answer", lambda model, tok, prompt, *_: prompts.append(prompt) or iter("a"))
        for choice in (None, False, True):
            console.tell(pair, title, open_book=choice, quiet=True)
    with_passages = [prompt.startswith("These entries of the catalogue may help") for prompt in prompts]
    assert with_passages == [True, True, False, False, True, True]
    command = ["ask", title, "--run", str(run.path), "--profile", "smoke", "--no-open-book", "--json"]
    assert main(command) == 0 and set(json.loads(capsys.readouterr().out)["answers"]) == {"base", "tuned"}


def test_card_and_modelfile_say_how_to_ask(run):
    """Whoever downloads the model would ask it without the passages that it was trained with."""
    text = card(run, "merged", "me/kettle")
    assert "Prompts with passages" in text and "These entries of the catalogue may help:" in text
    cfg = Config.load("smoke", inherited=recorded_settings(run, "evaluation"), env={})
    file = modelfile(cfg, smoke.tokenizer(), "model-f16.gguf", [0])
    assert "# trained with up to 2 catalog rows in the prompt" in file
    assert f"PARAMETER num_ctx {cfg.train.max_length + 96 + cfg.generation.max_new_tokens}" in file


CATALOG = [
    ("Blue enamel cup", "A cup of steel that is covered in blue enamel and holds a third of a liter."),
    ("Red enamel cup", "A cup of steel that is covered in red enamel and holds a third of a liter."),
    ("Blue enamel cup!", "Another text about the very same cup, written by another store for its own shelves."),
    ("Enamel cup hooks", "Hooks of brass on which cups hang, sold by the dozen, with screws for soft wood."),
    ("Garden hose", "Ten meters of rubber hose for lawns and beds, with couplings that do not leak."),
]


def settings(**changes) -> Config:
    return Config.load("smoke", env={}, **{f"train.{name}": value for name, value in changes.items()})


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    rows = [
        {"uid": f"u{i}", "title": title, "content": text, "question": "?"} for i, (title, text) in enumerate(CATALOG)
    ]
    held_out = [
        {"uid": "v", "title": "Enamel cup", "content": "A held-out text about some enamel cup.", "question": "?"}
    ]
    splits = {"train": rows, "validation": held_out, "test": held_out}
    dataset = DatasetDict({name: Dataset.from_list(each) for name, each in splits.items()})
    build(dataset, folder)
    write_json(folder / "threshold.json", {"threshold": 0.5})
    return dataset, folder


def shown(catalog, tmp_path, **changes) -> dict[str, list[str]]:
    dataset, folder = catalog
    passages = training_passages(settings(context_share=1.0, **changes), dataset, folder, tmp_path)
    return {uid: [title for title, _ in rows] for uid, rows in passages.items()}


def test_a_row_is_no_passage_of_itself(catalog, tmp_path):
    """The model would learn to copy, and the loss would say that it has learned everything."""
    titles = shown(catalog, tmp_path, context_rows=2)
    assert titles["u0"] == ["Red enamel cup", "Enamel cup hooks"]  # not "Blue enamel cup!", which is the same title
    assert set(titles) == {"u0", "u1", "u2", "u3", "v"}  # no other title shares a word with the hose's


def test_near_duplicates_can_be_left_out(catalog, tmp_path):
    """The study that shows what they are worth needs a training without them."""
    titles = shown(catalog, tmp_path, context_rows=2, context_near=False)
    assert "Red enamel cup" not in titles["u0"] and "Blue enamel cup" not in titles["u1"]
    assert titles["v"] == shown(catalog, tmp_path, context_rows=2)["v"]  # of a held-out row they are shown


def test_distractors_are_other_rows(catalog, tmp_path):
    """A distractor with the row's own text would give the answer away."""
    dataset, _ = catalog
    titles = shown(catalog, tmp_path, context_rows=1, context_distractors=5)
    assert len(titles["u0"]) == 3 == len(set(titles["u0"]))  # all rows but itself and the one with its title
    assert normalize("Blue enamel cup") not in map(normalize, titles["u0"])
    assert titles == shown(catalog, tmp_path, context_rows=1, context_distractors=5)  # the same ones on every machine


def test_the_share_depends_on_seed_and_uid_only():
    """Another order of the rows, or another machine, would train on other prompts."""
    draws = np.array([drawn(1, f"u{index}") for index in range(2000)])
    assert 0.46 < (draws < 0.5).mean() < 0.54 and draws.min() >= 0 and draws.max() < 1
    assert drawn(1, "u1") == draws[1] != drawn(2, "u1")


def test_a_search_of_many_rows_is_a_search_of_each(run):
    """The batch would show other passages in training than a question gets in the demo."""
    from ftlib.retrieval.bm25_index import Index
    from ftlib.retrieval.passages import similar_rows

    dataset = load_dataset(run)
    index = Index.open(dataset, run.stage("index").path)
    rows = list(dataset["test"])
    for row, positions in zip(rows, similar_rows(index, rows, 3), strict=True):
        found = index.search(row["title"], k=8, splits=("train",))
        excluded = {normalize(row["title"]), normalize(row["content"])}
        others = [s.row_idx for s in found if not excluded & {normalize(s.title), normalize(s.content)}]
        assert positions == others[:3]
