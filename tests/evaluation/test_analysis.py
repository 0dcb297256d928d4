"""Looking back at a finished evaluation, as notebook 05 does."""

import csv
import json
import shutil

from ftlib.evaluation.analysis import extremes, growing_interval, hardest, noisiest, rows_of, verdicts
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.reporting.html_report import row_tables
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


def test_rows_csv_has_the_likelihoods_and_no_text(smoke_run):
    """What a row costs each model is what a reader sorts by; its text is not to be published with it."""
    with open(smoke_run.path / "evaluation" / "rows.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["uid", "split", "nll_tokens", "nll_base", "nll_tuned"] and len(lines) == 18
    records = read_jsonl(smoke_run.path / "evaluation" / "answers.jsonl")
    by_key = {(r["split"], r["uid"], r["system"]): r for r in records}
    for line in lines:
        for system in ("base", "tuned"):
            record = by_key[line["split"], line["uid"], system]
            assert float(line[f"nll_{system}"]) == round(record["nll_sum"] / record["nll_tokens"], 5)
            assert int(line["nll_tokens"]) == record["nll_tokens"]
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")["unseen"]["systems"]["tuned"]["nll"]["mean"]
    unseen = [(float(line["nll_tuned"]), int(line["nll_tokens"])) for line in lines if line["split"] == "unseen"]
    mean = sum(nll * count for nll, count in unseen) / sum(count for _, count in unseen)
    assert abs(mean - metrics) < 1e-4


def row(uid: str, base: float, tuned: float, split: str = "unseen") -> dict:
    return {"uid": uid, "split": split, "nll_tokens": 9, "nll_base": base, "nll_tuned": tuned}


def test_hardest_and_noisiest_rows():
    """A list in the wrong order sends the reader to rows that are fine."""
    rows = [row("a", 3.0, 2.0), row("b", 1.0, 2.5), row("c", 4.0, 4.25), row("d", 9.0, 9.5, "seen")]
    assert [each["uid"] for each in hardest(rows)] == ["c", "b", "a"]
    assert [each["uid"] for each in noisiest(rows)] == ["b", "c"] and len(hardest(rows, 1)) == 1
    (_, hard_note, hard), (_, noise_note, noise) = row_tables(rows, dict(zip("abcd", "ABCD", strict=True)))
    assert [cells[0] for cells in hard.rows] == ["C", "B", "A"] and noise.rows[0] == [
        "B",
        "b",
        "9",
        "1.000",
        "2.500",
        "+1.500",
    ]
    assert "the title does not" in hard_note and "less likely" in noise_note
    assert row_tables(rows[:1], {"a": "A"})[1][1] == "There are none."


def test_the_report_lists_them_by_title(smoke_run):
    """A uid alone sends the reader back to the data file."""
    page = (smoke_run.path / "evaluation" / "report.html").read_text(encoding="utf-8")
    _, _, after = page.partition("The hardest rows")
    titles = [title.replace("&", "&amp;") for title in load_dataset(smoke_run)["test"]["title"][:12]]
    assert sum(title.replace("'", "&#39;").replace('"', "&#34;") in after for title in titles) >= 10
