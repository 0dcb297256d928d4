"""Studies: from a file to recorded figures, interrupted, copied and failing on the way."""

import copy
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ftlib.cli.entry import main
from ftlib.data.sample import SAMPLE_PATH
from ftlib.evaluation import answers as answer_store
from ftlib.reporting.tables import number
from ftlib.runtime.files import read_json, read_jsonl, write_text
from ftlib.study import headline, log, records, report, scoring
from ftlib.study.answers import Work
from ftlib.study.row_scores import RowValues, against, hashed, load, mean_over_seeds, means_of, save
from ftlib.study.study_file import StudyError, load_study, make_jobs
from ftlib.study.study_rows import not_held_out
from ftlib.training import fine_tuning

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "name": "tiny",
    "profile": "smoke",
    "text_rows": 4,
    "set": {
        "data.train_size": 48,  # an epoch of 3 steps: the seen rows are trained on
        "train": {"max_steps": 3, "eval_steps": None, "save_steps": 3},
        "generation.max_new_tokens": 8,
        "evaluation": {"rows": 8, "seen_rows": 5, "bootstrap": 100},
    },
    "runs": [
        {"name": "plain", "seeds": [1, 2]},
        {"name": "longer", "set": {"generation": {"max_new_tokens": 12}}, "seeds": [1, 2]},
    ],
}


def write_study(folder: Path, **changes) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(TINY | changes))
    return path


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """The seeds of the trainings that were done since."""
    return count_trainings(monkeypatch)


def count_trainings(monkeypatch) -> list[int]:
    seeds, honest = [], fine_tuning.train
    monkeypatch.setattr(fine_tuning, "train", lambda cfg, *rest: seeds.append(cfg.train.seed) or honest(cfg, *rest))
    return seeds


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study that was interrupted while its second run answered, and done to the end by the same command."""
    folder = tmp_path_factory.mktemp("study")
    data = shutil.copy(SAMPLE_PATH, folder / "rows.jsonl.gz")
    place = SimpleNamespace(folder=folder, data=data, work=folder / "work", results=folder / "results")
    place.study, place.answers = write_study(folder), place.work / "study-tiny"
    place.command = ["study", "run", str(place.study), "--work", str(place.work), "--results", str(place.results)]
    with pytest.MonkeyPatch.context() as patch:
        place.trainings, honest = count_trainings(patch), answer_store.answer_encoded

        def interrupted(*args):
            if len(place.trainings) == 2:
                patch.setattr(answer_store, "answer_encoded", honest)
                raise KeyboardInterrupt
            return honest(*args)

        patch.setattr(answer_store, "answer_encoded", interrupted)
        assert main([*place.command, "--data", str(data)]) == 130
        assert not (place.answers / "plain-s2" / "manifest.json").exists()
        assert main(place.command) == 0
    return place


def results_of(results: Path, name: str = "tiny") -> records.Recorded:
    return records.load(results / "studies" / name)


def summary_of(results: Path, name: str = "tiny") -> dict:
    return records.summary(results_of(results, name))


def test_an_interrupted_study_goes_on_and_trains_nothing_twice(made):
    """GPU minutes are few: neither an interruption nor another decoding may cost a second training."""
    assert made.trainings == [1, 2]
    assert len(list((made.work / "studies-shared" / "models").iterdir())) == 2


def test_every_run_and_seed_has_its_line_and_its_metrics(made):
    """A reader of results/ knows from the files alone what was run, where, at what cost, and how sure the values are."""
    found = results_of(made.results)
    assert list(found.runs) == [("plain", 1), ("plain", 2), ("longer", 1), ("longer", 2)]
    assert {path.name for path in (made.results / "studies" / "tiny").iterdir()} == {"metrics.csv", "runs.jsonl"}
    one = found.runs["longer", 2]
    assert one["seed"] == one["config"]["train"]["seed"] == 2 and one["config"]["generation"]["max_new_tokens"] == 12
    assert {"git_commit", "device", "versions", "data"} <= set(one) and set(one["seconds"]) == {
        "train",
        "answer",
        "score",
    }
    assert {"steps", "tokens", "tokens_per_s", "validation_loss"} <= set(one["training"])
    metrics = found.metrics["longer", 2]
    unseen = metrics["unseen"]
    assert (unseen["n"], unseen["text_n"], metrics["seen"]["n"]) == (8, 4, 5)
    assert set(unseen["systems"]) == {"base", "tuned", "copy_title", "nearest"}
    assert "nll" in unseen["systems"]["base"] and set(unseen["systems"]["tuned"]["rougeL"]) == {"mean", "ci95"}
    change = unseen["differences"]["tuned-base"]
    assert (
        sum(change["nll"][key] for key in ("wins", "ties", "losses")) == 8
    )  # likelihood on all rows, text on the first four
    assert sum(change["rougeL"][key] for key in ("wins", "ties", "losses")) == 4
    assert one["first"] == "plain" and one["against"]["seeds"] == one["mean_over"] == [1, 2]
    assert found.against["longer", 2]["unseen"]["nll"]["mean"] == 0  # the same model, asked for longer answers


def test_what_is_saved_is_loaded_again(made, tmp_path):
    """Each machine of a study rewrites the files: what another one recorded must not change on the way."""
    found = results_of(made.results)
    records.save(tmp_path / "again", found)
    assert records.load(tmp_path / "again") == found
    for name in (records.RUNS, records.METRICS_FILE):
        again = (tmp_path / "again" / name).read_text()
        assert again == (made.results / "studies" / "tiny" / name).read_text()


def test_rows_that_runs_share_are_stored_once_and_only_if_all_have_them(tmp_path):
    """The base model answers once for thirty runs; a run that lacks a metric must not inherit it."""
    line = {"study": "s", "seed": 1, "config": {"train": {"seed": 1}}, "mean_over": [1], "against": None}
    recorded = records.Recorded()
    for run, base, cosine in (("a", 0.5, True), ("b", 0.5, False), ("c", 0.25, True)):
        systems = {"base": {"rougeL": {"mean": base, "ci95": [0.123456, 1.0]}}, "tuned": {}}
        systems["base"] |= {"cosine": {"mean": 0.125, "ci95": [0.0, 0.25]}} if cosine else {}
        block = {"n": 3, "text_n": 3, "systems": systems, "differences": {}, "reference": {}}
        config = {"train": {"seed": 1, "epochs": 2} if run == "c" else {"seed": 1}}
        recorded.runs[run, 1] = line | {"run": run, "rows": {"unseen": {"n": 3, "text_n": 3}}, "config": config}
        recorded.metrics |= {(run, seed): {"unseen": block} for seed in (1, None)}
    records.save(tmp_path, recorded)
    again = records.load(tmp_path)
    bases = {run: again.metrics[run, 1]["unseen"]["systems"]["base"] for run in "abc"}
    assert [bases[run]["rougeL"]["mean"] for run in "abc"] == [0.5, 0.5, 0.25] and "cosine" not in bases["b"]
    assert bases["a"]["rougeL"]["ci95"] == [0.12346, 1.0] and bases["c"]["cosine"]["mean"] == 0.125
    page = (tmp_path / records.METRICS_FILE).read_text()
    assert page.count("rougeL") == 2 and "s,*,all,unseen,base,rougeL,0.5,0.12346,1,,," in page
    assert again.runs == recorded.runs
    recorded.runs["a", 2] = recorded.runs["a", 1] | {"seed": 2}
    recorded.metrics["a", 2] = recorded.metrics["b", 1]  # scored where cosine was not installed
    records.save(tmp_path, recorded)
    assert "cosine" not in records.load(tmp_path).metrics["a", 2]["unseen"]["systems"]["base"]


@pytest.mark.parametrize("value", [0.0004999996, 0.2975049, 1.00050001, -0.00249999, 123456.789, 9.99951, 0.0, -4e-9])
def test_a_rounded_number_is_printed_like_the_full_one(value, tmp_path):
    """A table that changes because its file was rewritten makes a reader doubt both."""
    text = records._digits(value)
    assert number(float(text)) == number(value) and records._digits(float(text)) == text


def test_another_study_of_the_same_recipe_takes_its_trained_models(made, tmp_path, trainings):
    """Learning rate, decoding and ablations begin from one recipe: three studies must not train it three times."""
    study = write_study(tmp_path, name="other", runs=[{"name": "short", "set": TINY["runs"][1]["set"], "seeds": [2]}])
    command = ["study", "run", str(study), "--data", str(made.data), "--work", str(made.work), "--no-score"]
    assert main(command) == 0 and trainings == []


def test_only_the_asked_rows_have_texts(made):
    """Answers are the dear part: a study that writes all 1,000 takes three times as long."""
    lines = read_jsonl(made.answers / "plain-s1" / "answers.jsonl")
    assert all(line["nll_tokens"] > 0 for line in lines) and {line["system"] for line in lines} == {"tuned"}
    for split, asked in (("unseen", 8), ("seen", 5)):
        rows = [line for line in lines if line["split"] == split]
        assert len({line["uid"] for line in rows}) == asked
        assert sum(line["text"] is not None for line in rows) == 4


def test_seeds_are_averaged_and_shown_one_by_one(made):
    """One seed's luck must not pass for a finding."""
    found = results_of(made.results)
    run = records.summary(found)["runs"]["plain"]["metrics"]["unseen"]
    each = [found.metrics["plain", seed]["unseen"]["systems"]["tuned"]["nll"]["mean"] for seed in (1, 2)]
    assert [run["seeds"][seed]["tuned"]["nll"] for seed in "12"] == each and each[0] != each[1]
    assert run["systems"]["tuned"]["nll"]["mean"] == pytest.approx(np.mean(each), rel=1e-4)


def test_results_hold_no_text_of_any_row(made):
    """The rows may not be ours to publish."""
    texts = {line["text"] for path in made.work.rglob("answers.jsonl") for line in read_jsonl(path)}
    cfg = make_jobs(load_study(made.study), str(made.data))[0]
    dataset = Work(made.work, cfg.study, str(made.data)).dataset(cfg)
    texts |= {row[column] for rows in dataset.values() for row in rows for column in ("uid", "title", "content")}
    texts = {text for text in texts if text and len(text) > 4}
    for path in made.results.glob("studies/*/*.*"):
        page = path.read_text(encoding="utf-8")
        assert str(made.folder) not in page
        assert not [text for text in texts if json.dumps(text, ensure_ascii=False)[1:-1] in page]


@pytest.mark.slow
def test_a_copied_work_folder_is_scored_without_weights_and_without_the_file(made, tmp_path, monkeypatch):
    """The machine that scores has neither the GPU's models nor, perhaps, the rows' file."""
    shutil.copytree(made.work, tmp_path / "work", ignore=shutil.ignore_patterns("models", "rows.npz"))
    monkeypatch.setenv("FTLIB_CACHE", str(tmp_path / "no-weights-here"))
    made.data.rename(tmp_path / "elsewhere.gz")
    try:
        command = [*made.command[:3], "--work", str(tmp_path / "work"), "--results", str(tmp_path / "results")]
        assert main(command) == 0
    finally:
        (tmp_path / "elsewhere.gz").rename(made.data)
    assert not (tmp_path / "no-weights-here").exists()
    again = results_of(tmp_path / "results")
    assert again.metrics == results_of(made.results).metrics


@pytest.mark.slow
def test_what_is_recorded_is_not_trained_again_on_a_fresh_machine(made, tmp_path, trainings, capsys):
    """On a fresh GPU machine there are the repository's results and an empty disk."""
    results = shutil.copytree(made.results, tmp_path / "results")
    command = ["study", "run", str(made.study), "--data", str(made.data), "--work", str(tmp_path / "work")]
    assert main([*command, "--results", str(results)]) == 0
    assert trainings == [] and "recorded in" in capsys.readouterr().out
    assert results_of(results) == results_of(made.results)


@pytest.mark.slow
def test_training_and_scoring_can_be_done_apart(tmp_path, capsys):
    """`--no-score` on the GPU, `--no-train` where a missing run must not begin to train."""
    study = write_study(tmp_path, runs=[{"name": "one"}, {"name": "two"}])
    command = ["study", "run", str(study), "--work", str(tmp_path / "w"), "--results", str(tmp_path / "results")]
    assert main([*command, "--data", "sample", "--only", "one", "--no-score"]) == 0
    assert not (tmp_path / "results").exists()
    assert main([*command, "--no-train"]) == 0
    assert list(results_of(tmp_path / "results").runs) == [("one", 42)]
    assert "two-s42: not scored" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_fails_is_told_at_the_end_and_the_others_are_done(tmp_path, capsys):
    """The first of thirty runs must not cost the other twenty-nine."""
    runs = [{"name": "bad", "set": {"model.name": "./no-model-here"}}, {"name": "good"}]
    study = write_study(tmp_path, runs=runs)
    command = ["study", "run", str(study), "--data", "sample", "--work", str(tmp_path / "work")]
    assert main([*command, "--results", str(tmp_path / "results")]) == 1
    assert "FAILED bad-s42: ModelError" in capsys.readouterr().err
    assert list(results_of(tmp_path / "results").runs) == [("good", 42)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sets": {}}, "sets: there is no such key; allowed are name, profile"),
        (
            {"runs": [{"name": "a", "seed": 1}]},
            "runs.0.seed: there is no such key; allowed are name, plain, set, seeds",
        ),
        ({"runs": [{"name": "a"}, {"name": "a"}]}, "duplicate run name: a"),
        ({"runs": [{"name": "a", "seeds": [1, 1]}]}, "duplicate seeds in run a"),
        ({"runs": [{"name": "a/b"}]}, "runs.0.name = 'a/b'"),
        ({"runs": []}, "runs"),
        ({"evaluate_on": "train"}, "evaluate_on = 'train'"),
        ({"set": {"data.path": "x"}}, "data.path cannot be set in a study; name the file with --data"),
        ({"runs": [{"name": "a", "set": {"train.rate": 1}}]}, "study tiny, run a: train.rate = 1"),
        ({"runs": [{"name": "a", "questions": ["nonsense"]}]}, "nonsense"),
        ({"profile": "big"}, "profile = 'big'"),
        ({"runs": [{"name": "a", "plain": "b"}]}, "name another run"),
    ],
)
def test_a_mistake_in_the_file_stops_before_anything_is_trained(changes, words, tmp_path):
    """A misspelt key in the last of thirty runs must not be found after an hour on a GPU."""
    with pytest.raises(StudyError) as error:
        make_jobs(load_study(write_study(tmp_path, **changes)), "sample")
    assert words in str(error.value)


@pytest.mark.parametrize(("text", "words"), [(None, "No such file"), ("[1, 2]", "not a study"), ("a: [", "not YAML")])
def test_a_file_that_is_no_study_says_so(text, words, tmp_path, capsys):
    """The path of a configuration instead of a study, say."""
    if text is not None:
        (tmp_path / "x.yaml").write_text(text)
    assert main(["study", "run", str(tmp_path / "x.yaml"), "--data", "sample"]) == 2
    assert words in capsys.readouterr().err


def test_a_new_study_asks_for_the_data_and_an_unknown_run_is_named(tmp_path, capsys):
    """Without it a study meant for the real rows is made on the sample, and nobody sees it."""
    command = ["study", "run", str(write_study(tmp_path)), "--work", str(tmp_path / "w")]
    assert main(command) == 2 and "--data sample" in capsys.readouterr().err
    assert main([*command, "--data", "sample", "--only", "nobody"]) == 2
    assert "--only nobody: no such run; the study has plain, longer" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_of_the_repository_can_be_run(path):
    """A setting that was renamed since would be found on the GPU machine."""
    study = load_study(path)
    assert study.name == path.stem and make_jobs(study, "sample")


def test_only_the_sampled_answers_depend_on_the_seed(tmp_path):
    """Greedy base answers would be generated again for every seed; sampled ones that never vary say nothing of luck."""
    sampled = {"name": "sampled", "set": {"generation.do_sample": True}, "seeds": [5]}
    study = load_study(write_study(tmp_path, runs=[{"name": "greedy", "seeds": [5]}, sampled]))
    greedy, drawn = (job.cfg for job in make_jobs(study, "sample"))
    assert greedy.train.seed == drawn.train.seed == drawn.generation.seed == 5 != greedy.generation.seed


def test_all_runs_are_measured_on_the_same_rows_and_none_trains_on_them(tmp_path):
    """Another cleaning draws other splits: the run would be asked other rows, and train on those of its neighbors."""
    runs = [
        {"name": "plain"},
        {"name": "dirty", "set": {"data.clean": False, "data.deduplicate": False}},
        {"name": "asked", "questions": ["pt_descreva"]},
        {"name": "few", "set": {"data.train_size": 24, "data.questions": ["en_short"]}},
    ]
    study = load_study(write_study(tmp_path, runs=runs))
    work = Work(tmp_path / "work", study, "sample")
    plain, dirty, asked, few = make_jobs(study, "sample")
    rows = [work.rows(job)["unseen"] for job in (plain, dirty, asked, few)]
    assert rows[0] == rows[1] == rows[3] and [row["uid"] for row in rows[0]] == [row["uid"] for row in rows[2]]
    assert "Descreva" in rows[2][0]["input_text"] and work.training_data(asked) is work.own_data
    own, other = work.dataset(plain), work.dataset(dirty)
    held_out = {row[column] for split in ("validation", "test") for row in own[split] for column in ("uid", "content")}
    assert not held_out & {*other["train"]["uid"], *other["train"]["content"]}
    assert len(other["train"]) == len(own["train"]) and other["train"]["content"] != own["train"]["content"]
    assert work.dataset(few)["train"]["uid"] == own["train"]["uid"][:24]
    assert "What is it?" in work.dataset(few)["train"]["input_text"][0]
    assert (
        work.base_keys(plain)["base", "unseen"] == work.base_keys(dirty)["base", "unseen"]
    )  # so the base answers them once


def test_a_leak_on_purpose_keeps_the_neighbors_of_held_out_rows_but_not_these(settings):
    """A leak that holds the very rows measures copying; one without their neighbors is none."""
    rows = [
        {"uid": "held", "title": "Red lamp", "content": "A lamp."},
        {"uid": "edition", "title": "red LAMP!", "content": "Another text."},
        {"uid": "reprint", "title": "Lamp in red", "content": "A  lamp"},
        {"uid": "free", "title": "Cup", "content": "A cup."},
    ]
    assert list(not_held_out(rows, rows[:1], settings(), leaks=False)) == [3]
    assert list(not_held_out(rows, rows[:1], settings(), leaks=True)) == [1, 2, 3]


def test_near_duplicates_of_held_out_rows_are_not_trained_on(settings, monkeypatch):
    """A run with other cleaning would train on the second color of a lamp that the study's test asks for."""
    monkeypatch.setattr("ftlib.study.study_rows.BATCH", 2)
    words = "A lamp of oak with a long cord and a shade of linen"
    rows = [
        {"uid": "held", "title": "Red lamp", "content": f"{words}."},
        {"uid": "color", "title": "Blue lamp", "content": "Another text."},
        {"uid": "edited", "title": "Pine light", "content": f"{words} or silk."},
        {"uid": "free", "title": "Cup", "content": "A cup."},
    ]
    assert list(not_held_out(rows, rows[:1], settings(), leaks=False)) == [3]
    assert list(not_held_out(rows, rows[:1], settings(**{"data.split": "group"}), leaks=False)) == [1, 2, 3]
    assert list(not_held_out(rows, rows[:1], settings(), leaks=True)) == [1, 2, 3]


def row_values(uids: str, rouge: list[float], nats: list[float]) -> RowValues:
    likelihoods = {"tuned": {"nll": np.array([nats, [2.0] * len(nats)])}}
    return RowValues(hashed(list(uids)), {"tuned": {"rougeL": np.array(rouge)}}, likelihoods)


def test_a_mean_over_seeds_is_taken_row_by_row(tmp_path):
    """A mean of intervals is no interval."""
    mean = mean_over_seeds([row_values("abc", [0.0, 1.0], [1, 2, 3]), row_values("abc", [1.0, 1.0], [3, 2, 3])])
    assert mean.values["tuned"]["rougeL"].tolist() == [0.5, 1.0] and (mean.n, mean.text_n) == (3, 2)
    assert means_of(mean) == {"rougeL": 0.75, "nll": 7 / 6}
    with pytest.raises(ValueError, match="different rows"):
        mean_over_seeds([row_values("ab", [0.0], [1, 2]), row_values("ba", [0.0], [1, 2])])
    save(tmp_path / "rows.npz", "key", {"unseen": mean})
    key, again = load(tmp_path / "rows.npz")
    assert key == "key" and means_of(again["unseen"]) == means_of(mean)


def test_runs_are_compared_on_the_rows_that_both_were_asked(tmp_path):
    """Seen rows differ with the training rows; a difference over unlike rows compares the rows."""
    a, b = row_values("abcd", [0.1, 0.2, 0.3], [5, 6, 7, 8]), row_values("xdcb", [0.9, 0.8, 0.4], [9, 7, 6, 5])
    found = against({"unseen": a}, {"unseen": b}, 100)["unseen"]
    assert found["n"] == 3 and found["nll"]["mean"] == pytest.approx((6 + 7 + 8) / 6 - (5 + 6 + 7) / 6)
    assert found["text_n"] == 1 and found["rougeL"]["mean"] == pytest.approx(0.3 - 0.4)  # only c has words in both
    assert against({"seen": row_values("p", [1.0], [1])}, {"seen": b}, 100) == {}


def test_the_report_marks_what_another_seed_does_as_well(made, tmp_path):
    """A difference within the spread of the seeds is no finding, however narrow its interval over rows."""
    results = shutil.copytree(made.results, tmp_path / "results")
    (tmp_path / "docs").mkdir()
    (tmp_path / report.RESULTS).write_text("# A page\n" + report.BEGIN + "old" + report.END + "\nrest\n")
    assert main(["study", "report", "--results", str(results)]) == 0
    page, short = (results / "REPORT.md").read_text(), (tmp_path / report.RESULTS).read_text()
    assert (
        "0.000 [0.000, 0.000], seeds 0.000 to 0.000 ≈" in page
        and "8 validation rows, 4 of them answered in full" in page
    )
    assert "| tiny | 2 (4) | 8 validation | plain |" in short and "old" not in short and short.endswith("rest\n")
    picture = results / "studies" / "tiny" / "nll.png"
    assert Image.open(picture).info["Description"] in page
    study = summary_of(results)
    assert report.difference(study, study["runs"]["longer"], "nll").endswith("≈")
    large = copy.deepcopy(study["runs"]["longer"])
    large["against"]["unseen"]["nll"] = {"mean": -9.0, "ci95": [-9.5, -8.5]}
    assert report.difference(study, large, "nll").startswith("-9.000 [-9.500, -8.500], seeds ")
    assert "≈" not in report.difference(study, large, "nll")


def test_the_headline_is_one_file_and_one_table(made, tmp_path):
    """Whoever quotes the result needs rows, seeds, intervals and the second decoding together, on every page the same."""
    results = shutil.copytree(made.results, tmp_path / "results")
    for path in [path for path in (results / "studies" / "tiny").iterdir() if path.suffix != ".png"]:
        text = path.read_text(encoding="utf-8").replace("tiny", "headline").replace("longer", "greedy")
        write_text(results / "studies" / "headline" / path.name, text)
    study = summary_of(results, "headline")
    (tmp_path / "docs").mkdir()
    (tmp_path / report.RESULTS).write_text(report.BEGIN + report.END)
    (tmp_path / "README.md").write_text(report.SHORT_BEGIN + report.SHORT_END)
    assert results / "headline.json" in report.write(tmp_path, results)
    found = read_json(results / "headline.json")
    assert found["unseen"] == headline.rounded(study["runs"]["plain"]["metrics"]["unseen"]) and found["settings"][
        "seeds"
    ] == [1, 2]
    assert "stops" in found["unseen"]["reference"] and found["greedy"]["seen"]["n"] == 5
    readme = (tmp_path / "README.md").read_text()
    assert "| metric | base | fine-tuned | copied title | nearest title's text |" in readme and "| NLL" in readme
    for page in (tmp_path / report.RESULTS, results / "REPORT.md"):
        assert "greedy: tuned - base" in page.read_text() and "| reference |" in page.read_text()


def test_the_log_says_what_was_expected_and_what_came_out(made, tmp_path):
    """A negative result that is told as a success, or not at all, misleads whoever repeats the work."""
    study = summary_of(made.results)
    run = study["runs"]["longer"]
    for metric, mean, ci95, said in (
        ("nll", -9.0, [-9.5, -8.5], "better"),
        ("nll", 9.0, [8.5, 9.5], "worse"),
        ("nll", -9.0, [-18.5, 0.5], log.NO_FINDING),
        ("nll", -1e-9, [-2e-9, -1e-10], log.NO_FINDING),  # another seed does more
        ("rougeL", -9.0, [-9.5, -8.5], "worse"),
        ("length_ratio", 9.0, [8.5, 9.5], "more"),  # recorded without the distance to the reference
        ("copied_run", 9.0, [8.5, 9.5, -9.5, -8.5], "better"),  # more, and nearer to what a true description copies
        ("stops", 9.0, [8.5, 9.5, "forced"], "forced"),
    ):
        run["against"]["unseen"][metric] = {"mean": mean, "ci95": ci95[:2]}
        if len(ci95) == 4:
            run["against"]["unseen"][metric]["nearer"] = {"mean": -9.0, "ci95": ci95[2:]}
        run["against"]["unseen"][metric] |= {"forced": True} if "forced" in ci95 else {}
        assert log.verdict(study, run, metric) == said, (metric, mean)
    assert log.verdict(study, study["runs"]["plain"], "nll") is None
    runs = [{"name": "plain"}, {"name": "longer", "expected": "more words", "lesson": "words are cheap"}]
    files = {"tiny": load_study(write_study(tmp_path, runs=runs, expected="little"))}
    page = log.render([study], files)
    assert "## tiny\n\nlittle" in page and "expected: more words" in page and "taken: words are cheap" in page
    assert "Against plain, unseen rows: NLL -0.000 [-0.000, -0.000], seeds 0.000 to 0.000 (no finding)" in page
    assert "words are cheap" in "".join(report.lessons(study, files["tiny"]))


def test_a_forced_end_is_marked_in_differences_between_runs_too():
    """Against a greedy run, a length penalty "stops" 20 points more often, and the report calls it better."""
    free, penalty = ({"length_decay": decay, "max_new_tokens": 512} for decay in (None, [200, 1.02]))
    for decodings, expected in (((free, penalty), True), ((free, free), False)):
        jobs = [
            SimpleNamespace(cfg=SimpleNamespace(generation=SimpleNamespace(model_dump=lambda d=d: d)))
            for d in decodings
        ]
        found = {"unseen": {"n": 3, "stops": {"mean": 0.2, "ci95": [0.1, 0.3], "wins": 1, "ties": 2, "losses": 0}}}
        scoring._mark_forced(found, *jobs)
        assert ("forced" in found["unseen"]["stops"]) == expected == ("wins" not in found["unseen"]["stops"])


def test_a_run_that_was_scored_elsewhere_stays_recorded(made, tmp_path):
    """Each machine of a study would otherwise erase what the other one recorded."""
    results = shutil.copytree(made.results, tmp_path / "results")
    work = Work(made.work, load_study(made.study), str(made.data))
    jobs = make_jobs(work.study, str(made.data))
    scoring.write_results(work, [], results, scoring.Scorer(work))
    assert results_of(results) == results_of(made.results)
    scoring.write_results(work, jobs[:2], results, scoring.Scorer(work))
    assert results_of(results).metrics["longer", None] == results_of(made.results).metrics["longer", None]


def save_description(figure, path, metadata, **_):
    """Write an empty picture with a figure's description, which is what is compared; drawing takes seconds."""
    about = PngInfo()
    about.add_text("Description", metadata["Description"])
    Image.new("1", (1, 1)).save(path, format="png", pnginfo=about)


def test_the_recorded_studies_are_shown_as_they_are(tmp_path, monkeypatch):
    """A figure typed by hand outlives the run that it came from; so does one in a notebook or in the log."""
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")  # the pages are English, whatever the notebooks of this shell speak
    monkeypatch.setattr(Figure, "savefig", save_description)
    for name in ("results", "studies", "notebooks", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    written = report.write(tmp_path, tmp_path / "results")
    names = {"README.md", "results.md", "REPORT.md", "LOG.md", "headline.json", "05_evaluation.ipynb"}
    assert {path.name for path in written} >= names
    for path in written:
        recorded = ROOT / path.relative_to(tmp_path)
        if path.suffix == ".png":
            assert Image.open(recorded).info["Description"] == Image.open(path).info["Description"]
        else:
            assert recorded.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
