"""Studies with passages in the prompts: the plain model and the mixture side by side, on new rows and on similar ones."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ftlib.cli.entry import main
from ftlib.data.cleaning import normalize
from ftlib.data.sample import SAMPLE_PATH
from ftlib.evaluation import answers
from ftlib.evaluation.subsets import SUBSETS
from ftlib.pipeline.stages import load_dataset
from ftlib.retrieval.passages import training_passages
from ftlib.runtime.files import read_jsonl
from ftlib.study import records
from ftlib.study.answers import Work
from ftlib.study.row_scores import RowValues, with_plain
from ftlib.study.study_file import load_study, make_jobs

pytestmark = (
    pytest.mark.slow
)  # one study of two trainings; tests/integration/test_training_with_passages.py is the fast part

STUDY = {
    "name": "context",
    "profile": "smoke",
    "evaluate_on": "test",
    "compared": "tuned_open",
    "set": {
        "data": {"train_size": 48, "split": "near"},
        "train": {"max_steps": 3, "eval_steps": None, "save_steps": 3, "context_tokens": 96},
        "generation.max_new_tokens": 8,
        "evaluation": {"rows": 12, "seen_rows": 4, "bootstrap": 100, "open_book": True},
    },
    "runs": [
        {
            "name": "mixture",
            "plain": "plain",
            "set": {"train": {"context_rows": 2, "context_share": 0.5}},
            "seeds": [1],
        },
        {"name": "plain", "seeds": [1]},
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("context")
    data = shutil.copy(SAMPLE_PATH, folder / "rows.jsonl.gz")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    prompts, honest = [], answers.answer_encoded
    with pytest.MonkeyPatch.context() as patch:

        def listen(model, tokenizer, asked, *rest):
            prompts.append((rest[1], [tokenizer.decode(ids) for ids in asked]))
            return honest(model, tokenizer, asked, *rest)

        patch.setattr(answers, "answer_encoded", listen)
        options = ["--work", str(folder / "work"), "--results", str(folder / "results"), "--data", str(data)]
        assert main(["study", "run", str(folder / "study.yaml"), *options]) == 0
    study = load_study(folder / "study.yaml")
    return SimpleNamespace(
        folder=folder, prompts=prompts, work=Work(folder / "work", study, str(data)), jobs=make_jobs(study, str(data))
    )


def test_all_systems_stand_beside_each_other(made):
    """What the mixture gains over the plain recipe could not be paired, row by row."""
    found = records.load(made.folder / "results" / "studies" / "context")
    block = found.metrics["mixture", None]["unseen"]
    assert set(block["systems"]) == set("base tuned base_open tuned_mix tuned_open copy_title nearest".split())
    wanted = {
        "tuned_open-nearest",
        "tuned_open-tuned",
        "tuned_mix-tuned",
        "tuned_open-base_open",
        "tuned_open-copy_title",
    }
    assert wanted <= block["differences"].keys()
    assert {"nll", "rougeL", "numbers_not_in_context"} <= block["differences"]["tuned_open-tuned"].keys()
    assert "copied_passage" in block["systems"]["tuned_open"] and "copied_passage" not in block["systems"]["tuned"]
    plain = found.metrics["plain", None]["unseen"]["systems"]["tuned"]
    assert plain["nll"] == block["systems"]["tuned"]["nll"] != block["systems"]["tuned_mix"]["nll"]
    assert found.against["plain", 1]["unseen"]["nll"]["mean"] != 0
    seeds = records.summary(found)["runs"]["mixture"]["metrics"]["unseen"]["seeds"]["1"]
    assert {"tuned", "tuned_mix", "tuned_open"} <= seeds.keys()


def test_blocks_by_similarity_add_up(made):
    """Near-duplicates decide what a lookup is worth: each table must also exist without them."""
    line = records.load(made.folder / "results" / "studies" / "context").runs["mixture", 1]["rows"]
    blocks = [line[block]["n"] for block in SUBSETS if block in line]
    assert line["unseen_new"]["n"] > 0 and sum(blocks) == line["unseen"]["n"] == 12


def test_retention_is_recorded(made):
    """What fine-tuning costs in general text is part of every result."""
    found = records.load(made.folder / "results" / "studies" / "context")
    block = found.metrics["mixture", None]["retention"]
    assert set(block["systems"]) == {"base", "tuned", "tuned_mix"} and "tuned-base" in block["differences"]


def test_no_prompt_holds_its_own_row_or_a_held_out_one(made):
    """The model would read the answer that it is measured by."""
    job = made.jobs[0]
    dataset = load_dataset(made.work.training_data(job))
    held_out = {
        normalize(row[c]) for split in ("validation", "test") for row in dataset[split] for c in ("title", "content")
    }
    texts = {(row["title"], row["content"]) for row in dataset["train"]}
    passages = training_passages(
        job.cfg, dataset, made.work.training_data(job).stage("index").path, made.folder / "cache"
    )
    rows = {row["uid"]: row for split in ("train", "validation") for row in dataset[split]}
    assert 10 < len(passages) < len(rows)  # a share of them
    for uid, shown in (passages | made.work.passages(job)).items():
        own = rows.get(uid) or next(row for row in dataset["test"] if row["uid"] == uid)
        for passage in shown:
            assert passage in texts
            assert not {normalize(text) for text in passage} & (
                {normalize(own["title"]), normalize(own["content"])} | held_out
            )
    asked = [(label, prompt) for label, prompts in made.prompts for prompt in prompts]
    with_passages = [label for label, prompt in asked if re.search("^Title: .+\nDescription: ", prompt, re.MULTILINE)]
    assert {label.split(":")[0] for label in with_passages} == {"base_open", "tuned_open"}


def test_a_training_without_passages_is_not_repeated_for_them(made):
    """The settings of passages would make every recorded training stale although they change nothing in it."""
    plain = made.jobs[1]
    assert (
        made.work.trained(plain).path.name
        == made.work.trained(
            plain.__class__(
                plain.study,
                plain.run,
                plain.seed,
                plain.cfg.model_copy(update={"train": plain.cfg.train.model_copy(update={"context_tokens": 300})}),
            )
        ).path.name
    )
    models = list((made.folder / "work" / "studies-shared" / "models").iterdir())
    manifests = [read_jsonl(path / "adapter" / "train_log.jsonl") for path in models]
    assert len(models) == 2 and all(manifests)


def test_unused_rows_are_in_no_split(made, tmp_path):
    """A confirmation on rows that a choice was made on confirms nothing."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY | {"evaluate_on": "unused", "name": "confirmation"}))
    study = load_study(tmp_path / "study.yaml")
    work = Work(made.folder / "work", study, made.work.cfg.data.path)
    dataset, unused = load_dataset(work.own_data), work.unused
    used = {normalize(row[column]) for split in dataset.values() for row in split for column in ("title", "content")}
    keys = [normalize(row[column]) for row in unused for column in ("title", "content")]
    assert len(unused) > 12 and not used & set(keys) and len(keys) == len(set(keys))
    job = make_jobs(study, work.cfg.data.path)[0]
    assert [row["uid"] for row in work.rows(job)["unseen"]] == [row["uid"] for row in unused][:12]
    assert not any(duplicate.jaccard >= 0.5 for duplicate in work.duplicates(job).values())


def test_two_runs_with_other_rows_are_not_put_together():
    """Row by row, two different products would be compared."""
    one, other = (
        RowValues(np.array(uids), {"base": {}, "tuned": {}}, {"base": {}, "tuned": {}}) for uids in ([1], [2])
    )
    with pytest.raises(ValueError, match="same rows"):
        with_plain(one, other)
