"""Looking back at a finished evaluation, as notebook 05 does."""

import csv
import json
import shutil

from ftlib.evaluation.analysis import extremes, growing_interval, rows_of, verdicts
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.runtime.files import read_json, read_jsonl, write_text


def test_rows_and_extremes_of_a_finished_run(smoke_run):
    """The best and the worst row are the first that a reader asks for; swapped, they would tell the opposite story."""
    lines = rows_of(smoke_run.path / "evaluation", load_dataset(smoke_run))
    assert len(lines) == 12 and all(isinstance(line["delta"], float) for line in lines)
    found = extremes(lines)
    assert list(found) == ["best", "worst", "random 1", "random 2", "random 3"]
    assert found["best"]["delta"] == max(line["delta"] for line in lines) >= found["worst"]["delta"]
    assert len(rows_of(smoke_run.path / "evaluation", load_dataset(smoke_run), "seen")) == 6


def test_rows_are_read_from_the_answers_not_from_the_spreadsheet(smoke_run, tmp_path):
    """A title or an answer that begins with - or = comes back with a quote before it, and is no title of the data set."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    answers = run.path / "evaluation" / "answers.jsonl"
    lines = read_jsonl(answers)
    changed = {line["uid"]: f"=SUM({n})" for n, line in enumerate(lines) if line["system"] == "tuned"}
    for line in lines:
        line["text"] = changed[line["uid"]] if line["system"] == "tuned" else line["text"]
    write_text(answers, "".join(json.dumps(line) + "\n" for line in lines))
    found = rows_of(run.path / "evaluation", load_dataset(run))
    assert [line["tuned"] for line in found] == [changed[line["uid"]] for line in found]
    titles = {row["uid"]: row["title"] for row in load_dataset(run)["test"]}
    assert all(line["title"] == titles[line["uid"]] for line in found)
    with open(smoke_run.path / "evaluation" / "side_by_side.csv", newline="") as file:
        written = [line for line in csv.DictReader(file) if line["split"] == "unseen"]
    assert [line["uid"] for line in written] == [line["uid"] for line in found]
    assert [float(line["rougeL_base"]) for line in written] == [line["rougeL_base"] for line in found]
    (run.path / "evaluation" / "rows.json").unlink()  # an evaluation from before
    assert rows_of(run.path / "evaluation", load_dataset(run)) == found


def test_interval_is_given_for_the_sizes_there_are_and_narrows():
    """A K of 1,000 drawn from 200 rows would be an invention."""
    found = growing_interval([0.0, 1.0] * 100, (12, 50, 1000))
    assert list(found) == [12, 50, 200]
    widths = [found[size]["ci95"][1] - found[size]["ci95"][0] for size in found]
    assert widths == sorted(widths, reverse=True)


def test_verdicts_know_which_direction_is_better(smoke_run):
    """A model that copies as much as true descriptions do is told to be worse; a forced end is told to be a gain."""
    change = {
        "nll": {"ci95": [-0.5, -0.4]},
        "rougeL": {"ci95": [-0.2, -0.1]},
        "rep4": {"ci95": [0.1, 0.2]},
        "chrf": {"ci95": [-1, 1]},
        "length_ratio": {"ci95": [1, 2]},  # recorded before distances were
        "stops": {"ci95": [0.1, 0.2], "forced": True},
        "title_coverage": {"ci95": [-0.3, -0.2], "nearer": {"ci95": [-0.2, -0.1]}},
        "copied_run": {"ci95": [5, 6], "nearer": {"ci95": [-6, -5]}},
        "unsupported_numbers": {"ci95": [5, 6], "nearer": {"ci95": [1, 2]}},
    }
    metrics = {"unseen": {"differences": {"tuned-base": change}}}
    found = verdicts(metrics)
    assert found["better"] == ["nll", "title_coverage", "copied_run"]
    assert found["worse"] == ["rougeL", "rep4", "unsupported_numbers"] and found["no difference shown"] == ["chrf"]
    assert verdicts({"unseen": metrics["unseen"] | {"n": 1}})["better"] == []  # one row shows nothing
    assert verdicts(read_json(smoke_run.path / "evaluation" / "metrics.json"))["better"]
