"""The whole path at smoke size, and every file that an evaluation leaves for a reader."""

import csv
import json
import re
from types import SimpleNamespace

import pytest
import smoke

from ftlib.cli.entry import main
from ftlib.evaluation import answer_store, answers, runner, significance, summary, systems
from ftlib.evaluation.answer_store import Record
from ftlib.evaluation.embedding_similarity import model_folder
from ftlib.evaluation.metric_table import METRICS
from ftlib.generation import batched as generation
from ftlib.pipeline import stages
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.prompts.encoding import IGNORED, encode_answer, encode_example
from ftlib.reporting import html_report, sentences, tables
from ftlib.runtime.files import read_json, write_json
from ftlib.training import trained_rows


def lines_of(run: Run) -> list[dict]:
    return [json.loads(line) for line in (run.path / "evaluation" / "answers.jsonl").read_text().splitlines()]


def test_one_command_goes_from_rows_to_a_measured_model(smoke_run):
    """The README's promise."""
    assert list(smoke_run.manifests()) == ["dataset", "index", "adapter", "merged", "evaluation"]
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    assert (metrics["unseen"]["n"], metrics["seen"]["n"]) == (12, 6)
    assert set(metrics["unseen"]["systems"]) == {"base", "tuned", "copy_title", "nearest"}
    elsewhere = {"nll_per_byte", "copied_passage"} | (set() if model_folder() else {"cosine"})
    for system in ("base", "tuned"):
        assert {column.name for column in METRICS} - elsewhere == set(metrics["unseen"]["systems"][system])
    assert not {"nll", "stops", "format"} & set(metrics["unseen"]["systems"]["copy_title"])
    change = metrics["unseen"]["differences"]["tuned-base"]["nll"]
    assert change["wins"] + change["ties"] + change["losses"] == 12
    assert change["ci95"][0] <= change["mean"] <= change["ci95"][1]


def test_every_answer_is_on_file_with_its_contract_fields(smoke_run):
    """Every table is made again from answers.jsonl; a missing field makes a recorded run worthless."""
    lines = lines_of(smoke_run)
    assert len(lines) == (12 + 6) * 4
    fields = "uid split system text n_tokens stopped nll_sum nll_tokens".split()
    parts = "nll_prefix_sum nll_prefix_tokens nll_end_sum nll_end_tokens".split()
    assert all(list(line) == fields + parts for line in lines)
    assert all((line["nll_sum"] is None) == (line["system"] in ("copy_title", "nearest")) for line in lines)


def test_seen_rows_come_from_training_and_unseen_from_test(smoke_run):
    """If the two were swapped, memory would be reported as skill."""
    from ftlib.pipeline.stages import load_dataset

    data = load_dataset(smoke_run)
    for split, source in (("unseen", "test"), ("seen", "train")):
        assert {line["uid"] for line in lines_of(smoke_run) if line["split"] == split} <= set(data[source]["uid"])


def test_nearest_finds_a_seen_title_itself(smoke_run):
    """The lookup that any model of seen titles is held against."""
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    assert metrics["seen"]["systems"]["nearest"]["rougeL"]["mean"] > 0.95
    assert metrics["unseen"]["systems"]["nearest"]["rougeL"]["mean"] < 0.95


def test_an_interrupted_evaluation_asks_only_for_what_is_missing(smoke_run, monkeypatch, capsys):
    """An hour of answers must not be lost to a closed laptop."""
    folder = smoke_run.path / "evaluation"
    lines = (folder / "answers.jsonl").read_text().splitlines(keepends=True)
    before, kept = sorted(lines), [line for line in lines if json.loads(line)["system"] == "base"]
    (folder / "answers.jsonl").write_text("".join(kept[:5]) + kept[5][:20])  # killed while it wrote the sixth line
    write_json(folder / "started.json", {"fingerprint": read_json(folder / "manifest.json")["fingerprint"]})
    (folder / "manifest.json").unlink()
    asked = []
    honest = generation.answer_encoded
    monkeypatch.setattr(
        answers,
        "answer_encoded",
        lambda m, t, prompts, *rest: asked.append(len(prompts)) or honest(m, t, prompts, *rest),
    )
    assert main(["evaluate", "--run", str(smoke_run.path)]) == 0
    assert asked == [18 - 5, 18]
    assert [line["uid"] for line in map(json.loads, sorted((folder / "answers.jsonl").read_text().splitlines()))] == [
        line["uid"] for line in map(json.loads, before)
    ]


def test_quick_look_takes_the_first_rows_and_keeps_all_answers(smoke_run, capsys):
    """`--rows 5` must not throw away a long evaluation, and must show how wide its interval is."""
    assert main(["evaluate", "--run", str(smoke_run.path), "--rows", "5"]) == 0
    said = capsys.readouterr().out
    assert "5 unseen titles" in said and "base: all 11 answers are stored already" in said
    assert read_json(smoke_run.path / "evaluation" / "metrics.json")["unseen"]["n"] == 5
    assert len(lines_of(smoke_run)) == 72
    assert main(["evaluate", "--run", str(smoke_run.path)]) == 0
    assert read_json(smoke_run.path / "evaluation" / "metrics.json")["unseen"]["n"] == 12


def test_more_rows_than_there_are_is_refused_and_says_how_many(smoke_run, capsys):
    """Silently measuring fewer rows than asked is how a K of 12 came to look like a result."""
    assert main(["evaluate", "--run", str(smoke_run.path), "--rows", "99999"]) == 2
    assert "evaluation.rows = 99999: allowed is at most 24" in capsys.readouterr().err
    assert main(["evaluate", "--run", str(smoke_run.path)]) == 0


def test_answers_of_another_model_or_setting_do_not_count(tmp_path):
    """After a new training, the old model's answers in the table would be a lie."""
    record = Record("1", "unseen", "tuned", "a", 1, True, 1.0, 1)
    (tmp_path / "answers.jsonl").write_text(
        "".join(answer_store._line(r) for r in (record, Record("1", "unseen", "nearest", "b")))
    )
    (tmp_path / "answers.keys.json").write_text(json.dumps({"tuned": "old", "nearest": "same"}))
    found = answer_store.AnswerStore.open(tmp_path, {"tuned": "new", "nearest": "same"})
    assert list(found.records) == [("unseen", "nearest", "1")]
    cfg, other = smoke.config(), smoke.config(generation__max_new_tokens=5)
    keys, changed = (answers.answer_keys(c, "data", "merged", "float32") for c in (cfg, other))
    assert keys["tuned"] != changed["tuned"] and keys["nearest"] == changed["nearest"]
    retrained = answers.answer_keys(cfg, "data", "merged again", "float32")
    assert keys["base"] == retrained["base"] and keys["tuned"] != retrained["tuned"]


def test_the_likelihood_without_prefix_and_end_is_kept_apart(smoke_run):
    """A model that has learned nothing but the form looks as if it had learned the descriptions."""
    for line in lines_of(smoke_run):
        if line["system"] not in ("base", "tuned"):
            continue
        assert 0 < line["nll_prefix_tokens"] < line["nll_tokens"] and line["nll_end_tokens"] in (0, 1)
        assert 0 < line["nll_prefix_sum"] + line["nll_end_sum"] < line["nll_sum"]
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")["unseen"]
    records = [Record(**line) for line in lines_of(smoke_run) if (line["split"], line["system"]) == ("unseen", "tuned")]
    inside = sum(r.nll_sum - r.nll_prefix_sum - r.nll_end_sum for r in records)
    tokens = sum(r.nll_tokens - r.nll_prefix_tokens - r.nll_end_tokens for r in records)
    assert metrics["systems"]["tuned"]["nll_content"]["mean"] == pytest.approx(inside / tokens)
    assert metrics["differences"]["tuned-base"]["nll_content"]["wins"] >= 0
    old = [Record("1", "unseen", "tuned", "a", 1, True, 4.0, 2)]  # a line of an answers.jsonl from before
    assert set(runner.likelihood_sums(old, [8])) == {"nll", "bits_per_byte"}


@pytest.mark.parametrize("family", list(smoke.TEMPLATES))
def test_the_parts_of_an_answer_are_those_of_its_text(family):
    """The first word of the description counts as form, or the end token as description."""
    import torch

    tokenizer = smoke.tokenizer(family)
    for content in ("A kettle of steel.", "12 cups: blue"):
        example = encode_example(tokenizer, "Kettle", smoke.QUESTION, content)
        answer = [token for token in example["labels"] if token != IGNORED]
        found = answers.likelihood_parts(tokenizer, example, torch.ones(len(answer)))
        prefix = tokenizer.decode(answer[: found["nll_prefix_tokens"]])
        assert prefix.strip() == "Description:" and found["nll_end_tokens"] == 1
        assert found["nll_sum"] == found["nll_tokens"] == len(answer)
        cut = example | {"cut": True, "labels": example["labels"][:-1]}
        assert answers.likelihood_parts(tokenizer, cut, torch.ones(len(answer) - 1))["nll_end_tokens"] == 0


def test_older_evaluations_are_scored_again_and_their_answers_kept(smoke_run, monkeypatch, capsys):
    """After an update the table shows figures of two definitions, or an hour of answers is generated again."""
    cfg = smoke.config()
    now = stages.stage_key("evaluation", cfg, smoke_run).fingerprint
    others = [stages.stage_key(name, cfg, smoke_run).fingerprint for name in ("adapter", "merged")]
    monkeypatch.setattr(stages, "DEFINITIONS", 1)
    assert stages.stage_key("evaluation", cfg, smoke_run).fingerprint != now
    assert [stages.stage_key(name, cfg, smoke_run).fingerprint for name in ("adapter", "merged")] == others
    assert "answers.jsonl" in stages.KEPT["evaluation"]


def summarized(base: dict, tuned: dict, references: dict, generation: dict | None = None) -> dict:
    split = summary.summarize({"base": base, "tuned": tuned}, {}, references, 200)
    summary.mark_forced(split, generation or {})
    return split


def test_a_row_is_won_by_the_answer_that_is_nearer_to_its_own_reference():
    """A base that repeats the title word for word wins every row of title_coverage against a description that does not."""
    rows = 120
    base, tuned, own = ([value] * rows for value in (1.0, 0.6, 0.5))
    found = summarized({"title_coverage": base}, {"title_coverage": tuned}, {"title_coverage": own})
    change = found["differences"]["tuned-base"]["title_coverage"]
    assert (change["mean"], change["wins"], change["losses"]) == (pytest.approx(-0.4), rows, 0)
    assert (
        change["nearer"]["mean"] == pytest.approx(-0.4)
        and significance.verdict_of(change, "title_coverage") == "better"
    )
    (row,) = (row for row in tables.table_rows(found) if row[0] == "title_coverage")
    assert dict(zip(tables.header(found), row, strict=True))["reference"] == "0.500"
    assert f"{rows}/0/0" in row
    without = summarized({"copied_run": base}, {"copied_run": tuned}, {})["differences"]["tuned-base"]["copied_run"]
    assert "wins" not in without and significance.verdict_of(without, "copied_run") is None


def test_a_length_ratio_is_shown_as_a_median():
    """One answer that loops to 80 times the reference's length makes the model look long-winded."""
    usual = [1.0, 0.8, 1.2, 0.9, 1.1] * 20
    found = summarized({"length_ratio": [80.0, *usual[1:]]}, {"length_ratio": usual}, {"length_ratio": [1.0] * 100})
    value = found["systems"]["base"]["length_ratio"]
    assert value["mean"] > 1.7 and value["median"] == 1.0
    (row,) = (row for row in tables.table_rows(found) if row[0] == "length_ratio")
    assert row[1].startswith("1.000 [0.9") and row[3].startswith("0.000 [") and row[5] == "1.000"


def test_an_end_that_the_decoding_forces_is_shown_as_forced():
    """stops 1.000 under a length penalty looks like a model that has learned where descriptions end."""
    ends = {"stops": [1.0] * 40}
    decoding = {"length_decay": [200, 1.02], "max_new_tokens": 512}
    found = summarized(ends, ends, ends, decoding)
    (row,) = (row for row in tables.table_rows(found) if row[0] == "stops")
    assert row[1:5] == ["forced (1.000)", "forced (1.000)", "forced (0.000)", "–"]
    assert "wins" not in found["differences"]["tuned-base"]["stops"]
    for free in ({"length_decay": None}, {"length_decay": [200, 1.02], "max_new_tokens": 96}):
        found = summarized(ends, ends, ends, free)
        assert tables.table_rows(found)[0][1] == "1.000 [0.912, 1.000]"


def test_side_by_side_has_the_contract_columns(smoke_run):
    """Notebooks and teachers open this file by its column names."""
    with open(smoke_run.path / "evaluation" / "side_by_side.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert (
        list(lines[0])
        == (
            "uid split title question reference base tuned copy_title nearest "
            "rougeL_base rougeL_tuned rougeL_copy_title rougeL_nearest delta"
        ).split()
    )
    assert len(lines) == 18
    for name, sign in (("improved", 1), ("worsened", -1)):
        with open(smoke_run.path / "evaluation" / f"{name}_examples.csv", newline="") as file:
            assert all(float(line["delta"]) * sign > 0 for line in csv.DictReader(file))


def test_a_cell_that_looks_like_a_formula_is_text_in_the_csv(tmp_path):
    """A description such as =HYPERLINK(...) would run when a teacher opens the file in a spreadsheet."""
    html_report.write_csv(tmp_path / "x.csv", [{"a": "=1+1", "b": -0.5, "c": "@x", "d": "plain"}], list("abcd"))
    assert (tmp_path / "x.csv").read_text() == "a,b,c,d\n'=1+1,-0.5,'@x,plain\n"


def test_report_is_one_page_with_its_text_escaped(smoke_run):
    """Descriptions come from the web; one with a script tag must not run in the reader's browser."""
    page = (smoke_run.path / "evaluation" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4 and "<script" not in page
    assert "synthetic sample" in page and page.count('class="example"') == 12
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    line = {
        "uid": "1",
        "split": "unseen",
        "title": "<script>alert(1)</script>",
        "question": "?",
        "reference": "a & b",
        "delta": 0.0,
    }
    line |= {"base": "<b>", "tuned": "t", "rougeL_base": 0.0, "rougeL_tuned": 0.0}
    assert (
        "<script>alert" not in (page := html_report.html(smoke_run.path, metrics, [line]))
        and "&lt;script&gt;alert" in page
    )


@pytest.fixture
def metrics():
    def interval(mean, low, high):
        return {"mean": mean, "ci95": [low, high]}

    systems = {
        s: {"format": interval(f, f, f), "rougeL": interval(r, r, r), "title_coverage": interval(0.5, 0.4, 0.6)}
        for s, f, r in (("base", 0.0, 0.10), ("tuned", 0.98, 0.13), ("copy_title", 0, 0.15))
    }
    change = {"nll": interval(-0.5, -0.6, -0.4), "rougeL": interval(0.03, 0.01, 0.05)}
    return {"unseen": {"n": 200, "systems": systems, "differences": {"tuned-base": change}}}


def test_findings_say_what_the_figures_say(metrics):
    """A report that praises a run whatever its figures is worse than none."""
    said = " ".join(sentences.findings(metrics))
    assert "NLL per token fell" in said and "ROUGE-L rose" in said and "98% after" in said
    assert "copying the title, and nothing else, scores ROUGE-L 0.150" in said
    metrics["unseen"]["differences"]["tuned-base"]["rougeL"] = {"mean": -0.02, "ci95": [-0.03, -0.01]}
    said = " ".join(sentences.findings(metrics))
    assert "ROUGE-L fell" in said and "ROUGE-L shows no gain" in said
    metrics["unseen"]["differences"]["tuned-base"]["nll"] = {"mean": -0.1, "ci95": [-0.3, 0.1]}
    metrics["unseen"]["n"] = 12
    said = " ".join(sentences.findings(metrics))
    assert "did not change beyond chance" in said and "Only 12 rows" in said
    metrics["unseen"] |= {"reference": {"stops": {"mean": 0.65, "ci95": [0.55, 0.74]}}}
    assert "only 65% of the references fit in the longest answer" in " ".join(sentences.findings(metrics))
    for system in metrics["unseen"]["systems"].values():
        system["stops"] = {"mean": 1.0, "ci95": [0.9, 1.0], "forced": True}
    assert "forces every answer to end" in " ".join(sentences.findings(metrics))


def test_one_row_has_no_interval(metrics):
    """`--rows 1` prints an interval without width, which reads as certainty."""
    values = {"rougeL": [0.3], "length_ratio": [1.5]}
    found = summarized(values, {name: [0.5] for name in values}, {"length_ratio": [1.0]}) | {"n": 1}
    assert all("[" not in cell for row in tables.table_rows(found) for cell in row)
    metrics["unseen"]["n"] = 1
    said = " ".join(sentences.findings(metrics))
    assert "NLL per token cannot be judged by one row" in said and "rose" not in said


def test_the_range_of_the_seeds_stands_beside_an_interval_over_rows():
    """Three seeds of greedy `stops` lie at 0.73, 0.76 and 0.85, and the table says 0.778 [0.761, 0.796]."""
    systems = {
        "base": {"stops": {"mean": 0.5, "ci95": [0.4, 0.6]}},
        "tuned": {"stops": {"mean": 0.78, "ci95": [0.75, 0.8]}},
    }
    change = {"tuned-base": {"stops": {"mean": 0.28, "ci95": [0.2, 0.3]}}}
    seeds = {str(n): {"tuned": {"stops": value}} for n, value in enumerate((0.73, 0.76, 0.85))}
    split = {"systems": systems, "differences": change, "seeds": seeds}
    assert significance.seed_range(split, "stops") == (0.73, 0.85)
    assert tables.with_seeds(systems["tuned"]["stops"], significance.seed_range(split, "stops")) == (
        "0.780 [0.750, 0.800], seeds 0.730 to 0.850"
    )
    assert significance.seed_range(split, "stops", "tuned", "base") == (pytest.approx(0.23), pytest.approx(0.35))
    assert significance.seeds_agree(split, "stops", "tuned", "base")
    seeds["0"]["tuned"]["stops"] = 0.4  # one training ends less often than the base
    assert not significance.seeds_agree(split, "stops", "tuned", "base")
    assert significance.seed_range(split | {"seeds": {}}, "stops") is None


@pytest.mark.slow
def test_the_base_model_is_also_asked_with_an_example(tmp_path, monkeypatch):
    """What one example in the prompt already gives would be counted as a gain of the training."""
    asked, honest = [], answers.encode_on_all_cores

    def listen(tokenizer, splits, few_shot, *rest):
        asked.append(few_shot)
        return honest(tokenizer, splits, few_shot, *rest)

    monkeypatch.setattr(answers, "encode_on_all_cores", listen)
    options = ["--profile", "smoke", "--data", "sample", "--run", str(tmp_path / "run")]
    assert main(["run", *options, "--set", "evaluation.one_shot=true", "--set", "train.max_steps=2"]) == 0
    run = Run(tmp_path / "run")
    metrics = read_json(run.path / "evaluation" / "metrics.json")
    unseen = metrics["unseen"]
    assert list(unseen["systems"]) == ["base", "base_one_shot", "tuned", "copy_title", "nearest"]
    assert {"nll", "stops", "rougeL"} <= set(unseen["systems"]["base_one_shot"])
    assert "tuned-base_one_shot" in unseen["differences"] and "base, one shot" in tables.table(metrics)
    (before, (turn,), after) = asked
    assert before == after == () and turn[1].startswith("Description: ")
    seen = {line["uid"] for line in lines_of(run) if line["split"] == "seen"}
    shown = [row["uid"] for row in load_dataset(run)["train"] if row["target_text"] == turn[1]]
    assert shown and not seen & set(shown)


def test_what_could_end_in_time_stands_beside_what_did(smoke_run):
    """Whether 62 % of answers that end are few or nearly all depends on how many of the true ones fit."""
    tokenizer, row = smoke.tokenizer(), {"content": "A kettle of steel."}
    needed = len(encode_answer(tokenizer, row["content"]))
    for room, ends in ((needed - 1, False), (needed, True)):
        cfg = smoke.config(**{"generation.max_new_tokens": room})
        assert runner.ends_in_time(tokenizer, cfg, [row]) == [ends]
    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    assert "stops" in metrics["unseen"]["reference"]


@pytest.mark.slow  # tests/study/test_retrieval_study.py reads the prompts of a study
def test_an_open_book_holds_no_answer_of_its_own_row(tmp_path, monkeypatch):
    """The model reads the answer that it is measured by, and retrieval looks far better than it is."""
    asked, honest = {}, generation.answer_encoded

    def listen(model, tokenizer, prompts, *rest):
        asked.setdefault(rest[1].split(":")[0], []).extend(map(tokenizer.decode, prompts))
        return honest(model, tokenizer, prompts, *rest)

    monkeypatch.setattr(answers, "answer_encoded", listen)
    options = ["--profile", "smoke", "--data", "sample", "--run", str(tmp_path / "run"), "--set", "train.max_steps=2"]
    assert main(["evaluate", *options, "--open-book", "--rows", "24"]) == 0
    run = Run(tmp_path / "run")
    metrics = read_json(run.path / "evaluation" / "metrics.json")["unseen"]
    assert list(metrics["systems"]) == ["base", "base_open", "tuned", "tuned_open", "copy_title", "nearest"]
    assert {"tuned_open-tuned", "base_open-base", "tuned_open-nearest"} <= metrics["differences"].keys()
    assert {"nll", "rougeL", "unsupported_numbers"} <= metrics["differences"]["tuned_open-tuned"].keys()
    data = load_dataset(run)
    seen = set(trained_rows.trained_uids(run.stage("adapter").path))
    rows = [*data["test"], *[row for row in data["train"] if row["uid"] in seen][:6]]
    trained = {row["title"] for row in data["train"]}
    for row, closed, opened in zip(rows, asked["tuned"], asked["tuned_open"], strict=True):
        before, found, after = closed.partition(row["input_text"])
        assert found and opened.startswith(before) and opened.endswith(found + after)
        book = opened.removeprefix(before).removesuffix(found + after)
        assert " ".join(row["content"].split()) not in book  # neither a test row's own text nor a training row's
        titles = re.findall("^Title: (.+)$", book, re.MULTILINE)
        assert titles and set(titles) <= trained and row["title"] not in titles


def test_seen_rows_are_rows_that_were_trained_on(settings):
    """In a training of less than an epoch most 'seen' rows were as new to the model as test rows."""
    data = smoke.dataset(train=20)
    cfg = settings(**{"evaluation.rows": 4})
    uids = data["train"]["uid"]
    rows, notes = systems.choose_rows(cfg, data, uids[::-3])
    assert [row["uid"] for row in rows["seen"]] == [uid for uid in uids if uid in uids[::-3]][
        : cfg.evaluation.seen_rows
    ]
    assert not notes and [row["uid"] for row in rows["unseen"]] == data["test"]["uid"][:4]
    whole, _ = systems.choose_rows(cfg, data, uids)
    assert [row["uid"] for row in whole["seen"]] == uids[: cfg.evaluation.seen_rows]  # an epoch: the first of the split
    few, notes = systems.choose_rows(cfg, data, uids[7:9])
    assert [row["uid"] for row in few["seen"]] == uids[7:9]
    assert notes == [f"evaluation.seen_rows is 2 instead of {cfg.evaluation.seen_rows}: no more rows were trained on"]


def test_how_much_was_trained_on_is_said_where_results_are_shown(smoke_run, capsys):
    """'Seen' means little without it: 640 of 1,781 rows."""
    made, metrics = smoke_run.manifests()["adapter"], read_json(smoke_run.path / "evaluation" / "metrics.json")
    said = tables.trained_on(metrics["settings"])
    assert (
        said
        == f"6 steps of 16 examples: {made['trained_rows']} of 200 training rows, {made['trained_epochs']:g} epochs"
    )
    assert 0 < made["trained_rows"] <= 96 and made["trained_rows"] == len(
        trained_rows.trained_uids(smoke_run.stage("adapter").path)
    )
    assert said in tables.table(metrics, "seen") and said in (smoke_run.path / "evaluation" / "report.html").read_text()
    old = {key: value for key, value in metrics["settings"].items() if not key.startswith("trained_")}
    assert tables.trained_on(old) == "6 steps of 16 examples, drawn from 200 training rows"


@pytest.mark.parametrize(("capability", "begun"), [(None, False), ((9, 0), True)])
def test_metrics_are_computed_beside_the_answers_of_a_gpu_only(monkeypatch, capability, begun):
    """On a CPU a core that two share holds up the others: the evaluation took half as long again."""
    monkeypatch.setattr(runner.hardware, "cuda_capability", lambda: capability)
    rows = smoke.rows(2)
    dataset = {"train": {"content": [row["content"] for row in rows]}}
    with runner.Scorer(smoke.config(), {"unseen": rows}, {}, SimpleNamespace(dataset=dataset)) as scorer:
        assert (scorer._copied is not None) == begun
        records = [Record(row["uid"], "unseen", "copy_title", row["title"], stopped=True) for row in rows]
        store = SimpleNamespace(of=lambda *_: records)
        assert len(scorer.of("unseen", "copy_title", store)["rougeL"]) == 2
