"""Run folders: what is reused, what is rebuilt and why, and that nothing of the user's is lost on the way."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.cli.entry import main
from ftlib.data.raw_reader import DataError
from ftlib.pipeline import run_admin, stages
from ftlib.pipeline import stage as stage_module
from ftlib.pipeline.stage import STAGES, Run, StageBusy, StageKey, StageMissing
from ftlib.runtime import environment, files, hardware
from ftlib.runtime.files import fingerprint, read_json, write_json, write_text

CONFIG, READ = {"train": {"seed": 1, "epochs": 2.0}}, {"dataset": "abc"}


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    """The manifest asks torch for the GPU's name; here it need not be loaded."""
    monkeypatch.setattr(hardware, "device_name", lambda: "test device")


@pytest.fixture
def stage(tmp_path):
    return Run(tmp_path / "run").stage("adapter")


def make(stage, key="k1", files=("weights",), config=CONFIG, read=READ, **keywords):
    """Write a stage with some files in it."""
    with stage.writing(StageKey(key, config, read), "smoke", **keywords) as result:
        for name in files:
            write_text(stage.path / name, f"{name} of {key}")
        result["steps"] = 6


def interrupt(stage, key="k1", files=("weights",), **keywords):
    """Write a stage and die half-way."""
    with pytest.raises(KeyboardInterrupt), stage.writing(StageKey(key, CONFIG, READ), "smoke", **keywords):
        for name in files:
            write_text(stage.path / name, f"{name} of {key}")
        raise KeyboardInterrupt


def files_of(stage):
    return sorted(str(path.relative_to(stage.path)) for path in stage.path.rglob("*") if path.is_file())


# Stages


def test_manifest_says_what_made_the_stage(stage):
    """Without it nobody can tell later which settings, versions and machine a result comes from."""
    make(stage)
    manifest = stage.manifest()
    expected = {"stage": "adapter", "fingerprint": "k1", "config": CONFIG, "read": READ, "profile": "smoke", "steps": 6}
    assert manifest | expected == manifest
    assert manifest["device"] == "test device" and manifest["versions"]["python"] and manifest["seconds"] >= 0
    assert manifest["peak_memory_mb"]["ram"] > 0 and manifest["finished"].endswith("Z") and "git_commit" in manifest
    assert files_of(stage) == ["manifest.json", "weights"]


def test_no_manifest_before_the_end(stage):
    """Without it a stage that broke off is taken for a whole one, and half an adapter is merged."""
    assert stage.stale_reason(StageKey("k1", CONFIG, READ)) == "not built yet"
    interrupt(stage)
    assert not stage.complete and stage.stale_reason(StageKey("k1", CONFIG, READ)) == "interrupted earlier"
    with pytest.raises(StageMissing, match="`ftlib train`"):
        stage.manifest()
    make(stage)
    interrupt(stage, key="k2")  # over a whole one: the old manifest must not vouch for the new files
    assert not stage.complete


def test_staleness_names_key_old_and_new(stage):
    """Without it a user sees "stale" and cannot tell which setting costs an hour of training."""
    make(stage)
    assert stage.stale_reason(StageKey("k1", CONFIG, READ)) is None
    changed = {"train": {"seed": 2, "epochs": 2.0}}
    assert stage.stale_reason(StageKey("k2", changed, READ)) == "train.seed was 1, now 2"
    assert stage.stale_reason(StageKey("k2", CONFIG, {"dataset": "xyz"})) == "dataset changed"
    assert stage.stale_reason(StageKey("k2", changed, {"dataset": "xyz"})) == "train.seed was 1, now 2; dataset changed"
    assert "another version of ftlib" in stage.stale_reason(StageKey("k2", CONFIG, READ))


def test_interrupted_attempt_goes_on_only_with_the_same_settings(stage):
    """Without it an interruption costs all checkpoints; or training resumes from a checkpoint of other settings."""
    interrupt(stage, files=("checkpoints/one",))
    assert stage.can_resume("k1") and not stage.can_resume("k2")
    interrupt(stage, files=("checkpoints/two",))
    assert files_of(stage) == ["checkpoints/one", "checkpoints/two", "started.json"]
    make(stage, key="k2")
    assert files_of(stage) == ["manifest.json", "weights"]
    assert not stage.can_resume("k2")


def test_rebuilding_removes_what_was_there_but_keeps_what_is_named(stage):
    """Without it files of older settings lie among the new ones, or answers that still count are generated again."""
    make(stage, files=("answers.jsonl", "table.csv", "plots/one.png"))
    interrupt(stage, key="k2", files=(), keep=("answers.jsonl",))
    assert files_of(stage) == ["answers.jsonl", "started.json"]
    make(stage, key="k3", files=(), keep=("answers.jsonl",))
    assert files_of(stage) == ["answers.jsonl", "manifest.json"]
    assert (stage.path / "answers.jsonl").read_text() == "answers.jsonl of k1"


def test_link_is_removed_and_not_what_it_points_to(stage, tmp_path):
    """Without it clearing a stage deletes a folder of the user's that was linked into it."""
    precious = tmp_path / "precious" / "thesis.txt"
    write_text(precious, "years of work")
    make(stage)
    (stage.path / "link").symlink_to(precious.parent)
    make(stage, key="k2")
    assert precious.exists() and not (stage.path / "link").exists()


def test_foreign_folder_is_never_emptied(stage):
    """Without it `--run ~/documents` deletes the user's own folder of that name."""
    write_text(stage.path / "thesis.txt", "years of work")
    with pytest.raises(StageMissing, match=r"no manifest\.json.*did not make it.*move them away"):
        make(stage)
    run_admin.clean(Run(stage.path.parent), everything=True)
    assert files_of(stage) == ["thesis.txt"]


def no_more(path, **_):
    raise KeyboardInterrupt


def test_interrupted_while_clearing(stage, monkeypatch):
    """Without it a folder that was half emptied passes for whole, or for a foreign one that ftlib will not touch."""
    make(stage, files=("checkpoints/one", "weights"))
    with monkeypatch.context() as patch:
        patch.setattr(stage_module.shutil, "rmtree", no_more)
        with pytest.raises(KeyboardInterrupt):
            run_admin.clean(Run(stage.path.parent), everything=True)
    assert stage.stale_reason(StageKey("k1", CONFIG, READ)) == "interrupted earlier" and not stage.can_resume("k1")
    make(stage, key="k2", files=("new",))
    assert files_of(stage) == ["manifest.json", "new"]


def test_interrupted_while_the_replaced_result_is_removed(stage, monkeypatch):
    """Without it half of an old adapter comes back in the place of the whole new one, or fills the disk for ever."""
    make(stage, files=("checkpoints/one", "weights"))
    with monkeypatch.context() as patch:
        patch.setattr(stage_module.shutil, "rmtree", no_more)
        with pytest.raises(KeyboardInterrupt):
            make(stage, key="k2", files=("new",))
    assert stage.stale_reason(StageKey("k2", CONFIG, READ)) is None and stage.has_backup
    assert not stage.restore("k1") and not stage.has_backup
    assert files_of(stage) == ["manifest.json", "new"]


def test_a_replaced_result_comes_back_only_where_it_is_wanted(stage):
    """Without it an adapter of other settings would be taken for the one that was asked for."""
    make(stage, files=("weights",))
    with pytest.raises(RuntimeError), stage.writing(StageKey("k2", CONFIG, READ), "smoke"):
        raise RuntimeError("broke off")
    assert stage.has_backup and not stage.restore("k3") and stage.can_resume("k2")
    assert stage.restore("k1") and not stage.has_backup
    assert stage.stale_reason(StageKey("k1", CONFIG, READ)) is None and files_of(stage) == ["manifest.json", "weights"]


def test_writing_is_atomic(tmp_path, monkeypatch):
    """Without it a reader, or the next run, finds half a file after a crash."""
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": "é"})

    def full_disk(path, text, **keywords):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="No space"):
            write_json(path, {"a": "new"})
    assert read_json(path) == {"a": "é"}

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full_disk)  # the one moment at which the new file takes the old one's place
        with pytest.raises(OSError, match="No space"):
            write_text(path, "new")
    assert read_json(path) == {"a": "é"}
    write_json(path, {"a": "new"})  # what the failure left is no hindrance
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_fingerprints():
    """Without it the order of keys makes an hour of training stale, or a changed setting does not."""
    assert fingerprint({"a": 1, "b": [2.0, None]}) == fingerprint({"b": [2.0, None], "a": 1}) == "20b0e0d999b7eb5d"
    assert fingerprint({"a": 1}) != fingerprint({"a": 2}) != fingerprint({"a": "2"})


# Locks


@contextlib.contextmanager
def other_process(stage):
    """Another process that holds the stage's lock; yields it, and ends it by closing its input."""
    code = (
        "import sys; from pathlib import Path; from ftlib.pipeline.stage import Stage\n"
        "with Stage(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(stage.path)], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_busy_stage_says_who_holds_it(stage):
    """Without it two processes write one adapter, or the user cannot tell which one to wait for."""
    with other_process(stage) as process:
        with pytest.raises(StageBusy, match=f"process {process.pid} on .* since 20.*--run with another folder"):
            make(stage)
        assert not stage.path.exists()
        (stage.path.parent / ".adapter.holder.json").unlink()  # it has not signed yet
        with pytest.raises(StageBusy, match="another process"):
            make(stage)


def test_lock_is_free_after_its_holder_died(stage):
    """Without it a crash leaves a run that can be neither finished nor started again."""
    with other_process(stage) as process:
        process.kill()
        process.wait()
        assert (stage.path.parent / ".adapter.holder.json").exists()  # it could not clean up
        make(stage)
    assert stage.complete and not (stage.path.parent / ".adapter.holder.json").exists()


def test_notebook_waits(stage, monkeypatch):
    """Without it a notebook cell fails because the command line is still training."""
    stage.wait, said = True, []
    with other_process(stage) as process:

        def let_go(text, **keywords):
            said.append(text)
            process.stdin.close()

        monkeypatch.setattr(stage_module.log, "info", let_go)
        make(stage)
        assert len(said) == 1 and f"process {process.pid}" in said[0] and "waiting" in said[0]
    assert stage.complete


def test_error_frees_the_lock(stage):
    """Without it one failed cell blocks the stage until the kernel is restarted."""
    interrupt(stage)
    make(Run(stage.path.parent).stage("adapter"))


# The pipeline


@pytest.fixture
def built(monkeypatch):
    """Builders that write one file and no model; returns the list of what was built."""
    names = []

    def builder(name):
        def build(cfg, run, folder):
            names.append(name)
            write_text(folder / "made", name)
            return {"splits": {"train": 200, "validation": 24, "test": 24}} if name == "dataset" else {}

        return build

    monkeypatch.setattr(stages, "BUILDERS", {name: builder(name) for name in STAGES})
    return names


NEEDED = tuple(name for name in STAGES if name != "index")  # of an evaluation with closed books


def build(run, cfg, built, stage="evaluation", also=()):
    """Ensure a stage; returns the stages that were built for it."""
    built.clear()
    stages.ensure(stage, cfg, run, also)
    return list(built)


def test_stages_are_built_in_short_turns(tmp_path, settings, built, monkeypatch):
    """Threads encode rows and score answers beside the one that loads or answers, in a notebook as in a command."""
    turns: list[float] = []
    monkeypatch.setitem(stages.BUILDERS, "dataset", lambda *_: turns.append(sys.getswitchinterval()) or {})
    stages.ensure("dataset", settings(), Run(tmp_path / "run"))
    assert turns == [environment.TURN] and sys.getswitchinterval() > environment.TURN


def test_second_run_reuses_everything(tmp_path, settings, built, capsys):
    """Without it `ftlib run` twice costs twice, or does not say that it did nothing."""
    run = Run(tmp_path / "run")
    assert build(run, settings(), built) == list(NEEDED)
    assert capsys.readouterr().out.splitlines() == [f"{name}: building (not built yet)" for name in NEEDED]
    assert build(run, settings(), built) == []
    assert [line.split(" (built")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{n}: up to date" for n in NEEDED
    ]


@pytest.mark.parametrize(
    ("overrides", "rebuilt"),
    [
        ({"data.seed": 7}, NEEDED),
        ({"data.clean.tags": False}, NEEDED),
        ({"model.dtype": "float32"}, NEEDED[1:]),
        ({"lora.r": 4}, NEEDED[1:]),
        ({"train.learning_rate": 1e-4}, NEEDED[1:]),
        ({"merge.dtype": "bfloat16"}, NEEDED[2:]),
        ({"generation.max_new_tokens": 8}, NEEDED[3:]),
        ({"evaluation.rows": 5}, NEEDED[3:]),
    ],
)
def test_one_setting_rebuilds_what_depends_on_it(tmp_path, settings, built, capsys, overrides, rebuilt):
    """Without it a changed temperature trains again, or a changed learning rate does not."""
    run = Run(tmp_path / "run")
    build(run, settings(), built)
    capsys.readouterr()
    assert build(run, settings(**overrides), built) == list(rebuilt)
    ((key, new),) = overrides.items()
    said = capsys.readouterr().out.splitlines()[len(NEEDED) - len(rebuilt)]
    assert said == f"{rebuilt[0]}: building ({key} was {settings().get(key)!r}, now {new!r})"
    assert build(run, settings(), built) == list(rebuilt)  # and back


def test_a_stage_builds_only_what_it_needs(tmp_path, settings, built):
    """Without it opening the training notebook merges and evaluates first."""
    run = Run(tmp_path / "run")
    assert build(run, settings(), built, "adapter") == ["dataset", "adapter"]
    assert build(run, settings(), built) == ["merged", "evaluation"]
    run_admin.clean(run)
    assert build(run, settings(), built, "adapter") == []
    assert build(run, settings(), built) == ["merged"]  # the same weights again: the evaluation still stands


def test_the_index_is_built_where_rows_are_looked_up(tmp_path, settings, built):
    """Without it `ftlib run` leaves a page without sources, or context passages come from another data set."""
    run, opened = Run(tmp_path / "run"), settings(**{"evaluation.open_book": True})
    assert build(run, settings(), built) == list(NEEDED)
    assert build(run, settings(), built, also=("index",)) == ["index"]
    assert build(run, opened, built) == ["evaluation"]
    other = settings(**{"evaluation.open_book": True, "data.seed": 7})
    assert build(run, other, built) == list(STAGES)


ROW = {"uid": "a", "title": "Lamp", "content": "A lamp with a cord."}


def test_data_file_counts_by_its_content(tmp_path, settings, built, write_rows, capsys):
    """Without it a touched or moved file trains again, and an edited one does not."""
    run, first = Run(tmp_path / "run"), write_rows([ROW])
    build(run, settings(**{"data.path": str(first)}), built)
    os.utime(first, (1, 1))
    assert build(run, settings(**{"data.path": str(first)}), built) == []
    moved = write_rows([ROW], "elsewhere/rows.jsonl")
    assert build(run, settings(**{"data.path": str(moved)}), built) == []
    write_rows([ROW | {"uid": "b"}])
    capsys.readouterr()
    assert build(run, settings(**{"data.path": str(first)}), built) == list(NEEDED)
    assert "dataset: building (the data file changed)" in capsys.readouterr().out


def test_data_file_that_is_gone(tmp_path, settings, built, write_rows):
    """Without it a run cannot go on once Colab's disk was wiped; or a misspelt --data deletes the data set."""
    run, path = Run(tmp_path / "run"), write_rows([ROW])
    cfg = settings(**{"data.path": str(path)})
    build(run, cfg, built, "adapter")
    path.unlink()
    assert build(run, cfg, built) == ["merged", "evaluation"]
    for wrong in (tmp_path / "typo.jsonl", tmp_path, write_rows([], "rows.csv")):
        with pytest.raises(DataError, match="give the"):
            build(run, settings(**{"data.path": str(wrong)}), built)
    assert build(run, cfg, built) == []


def test_failed_stage_is_built_again_and_the_ones_before_it_are_not(tmp_path, settings, built, monkeypatch, capsys):
    """Without it one error in training costs the prepared data, or leaves a stage that is never finished."""
    run, whole = Run(tmp_path / "run"), stages.BUILDERS["adapter"]

    def out_of_memory(cfg, run, folder):
        raise MemoryError

    monkeypatch.setitem(stages.BUILDERS, "adapter", out_of_memory)
    with pytest.raises(MemoryError):
        build(run, settings(), built)
    monkeypatch.setitem(stages.BUILDERS, "adapter", whole)
    capsys.readouterr()
    assert build(run, settings(), built) == ["adapter", "merged", "evaluation"]
    assert "adapter: resuming (interrupted earlier)" in capsys.readouterr().out


def test_stage_that_another_process_just_made_is_reused(tmp_path, settings, built, monkeypatch):
    """Without it a notebook that waited for `ftlib train` then trains the same thing once more."""
    cfg, run = settings(), Run(tmp_path / "run")
    build(run, cfg, built, "dataset")
    other = run.stage("adapter")
    with contextlib.ExitStack() as writing:
        writing.enter_context(other.writing(stages.stage_key("adapter", cfg, run), "smoke"))
        monkeypatch.setattr(stage_module.log, "info", lambda *_, **__: writing.close())
        assert build(Run(run.path, wait=True), cfg, built, "adapter") == []


def test_stage_command_goes_on_with_what_was_prepared(tmp_path, settings, built):
    """Without it `ftlib train` after `ftlib prepare --set data.seed=7` prepares again with the default seed."""
    from ftlib.config.settings import Config

    run = Run(tmp_path / "run")
    build(run, settings(**{"data.seed": 7, "train.seed": 9}), built, "adapter")
    recorded = stages.recorded_settings(run, "adapter")
    assert recorded.keys() == {"data", "prompt"} and recorded["data"]["seed"] == 7
    assert stages.recorded_settings(run, "merged").keys() == {"data", "prompt", "model", "lora", "train"}
    assert stages.recorded_settings(run, "dataset") == {}
    assert build(run, Config.load("smoke", inherited=recorded, env={}), built, "adapter") == [
        "adapter"
    ]  # train.seed is not its


def test_keep_of_the_pipeline(tmp_path, settings, built):
    """Without it a changed number of rows throws away the answers that were generated already."""
    run = Run(tmp_path / "run")
    build(run, settings(), built)
    for name in ("answers.jsonl", "old.csv"):
        write_text(run.path / "evaluation" / name, "x")
    build(run, settings(**{"evaluation.rows": 5}), built)
    assert files_of(run.stage("evaluation")) == ["answers.jsonl", "made", "manifest.json"]


def test_load_dataset_without_one(tmp_path):
    """Without it a notebook that is opened first ends in a FileNotFoundError in place of what to run."""
    with pytest.raises(StageMissing, match="`ftlib prepare`"):
        stages.load_dataset(Run(tmp_path / "nowhere"))


# Many runs


@pytest.fixture
def two_runs(tmp_path, settings, built):
    """Two finished runs that differ in the learning rate, with figures."""
    found = []
    for name, rate, nll in (("slow", 1e-4, 3.0), ("fast", 1e-3, 2.5)):
        run = Run(tmp_path / "root" / name)
        build(run, settings(**{"train.learning_rate": rate}), built, also=("index",))
        figures = {"base": {"nll": {"mean": 4.0}}, "tuned": {"nll": {"mean": nll}, "format": {"mean": 1.0}}}
        write_json(run.path / "evaluation" / "metrics.json", {"unseen": {"systems": figures}})
        found.append(run)
    return found


def test_list(two_runs, tmp_path):
    """Without it `ftlib runs list` shows folders that are no runs, or fails where there are none."""
    (tmp_path / "root" / "no run").mkdir()
    write_text(tmp_path / "root" / "file", "x")
    assert [run.path.name for run in run_admin.list_runs(tmp_path / "root")] == ["fast", "slow"]
    assert run_admin.list_runs(tmp_path / "nowhere") == []


def test_compare_shows_what_differs(two_runs):
    """Without it two runs stand side by side and the one setting that matters drowns in sixty equal ones."""
    assert run_admin.compare(two_runs) == {
        "slow": {"train.learning_rate": 1e-4, "nll base": 4.0, "nll tuned": 3.0, "format tuned": 1.0},
        "fast": {"train.learning_rate": 1e-3, "nll base": 4.0, "nll tuned": 2.5, "format tuned": 1.0},
    }


def test_headline_without_evaluation(tmp_path):
    """Without it `ftlib runs list` fails as soon as one run is not evaluated."""
    assert run_admin.headline(Run(tmp_path)) == {}


def test_clean_keeps_results(two_runs):
    """Without it freeing 2 GB of merged weights costs the answers and metrics too."""
    (two_runs[0].path / "merged" / "model.safetensors").write_bytes(bytes(3 * 2**20))
    assert run_admin.clean(two_runs[0]) == 3.0
    assert list(two_runs[0].manifests()) == ["dataset", "adapter", "evaluation"]
    assert run_admin.clean(two_runs[0]) == 0.0


def test_clean_keeps_an_interrupted_training(stage):
    """Without it cleaning up throws away hours of training that could still go on."""
    interrupt(stage, files=("checkpoints/one",))
    run_admin.clean(Run(stage.path.parent))
    assert "checkpoints/one" in files_of(stage)


def test_clean_everything(two_runs):
    """Without it a removed run still shows up, or files that ftlib did not make go with it."""
    write_text(two_runs[1].path / ".notes.lock", "mine")
    for run in two_runs:
        run_admin.clean(run, everything=True)
    assert not two_runs[0].path.exists()
    assert [path.name for path in two_runs[1].path.iterdir()] == [".notes.lock"]


def test_clean_of_a_busy_run_removes_nothing(two_runs):
    """Without it the data set is deleted under a training that reads it."""
    with other_process(two_runs[0].stage("evaluation")), pytest.raises(StageBusy):
        run_admin.clean(two_runs[0], everything=True)
    assert list(two_runs[0].manifests()) == list(STAGES)


def test_where_runs_lie(monkeypatch, settings):
    """Without it runs land in the installed package, in a folder named ~, or where FTLIB_RUNS does not say."""
    repository = Path(run_admin.__file__).parents[2]
    assert stages.default_run(settings()) == Path(os.environ["FTLIB_RUNS"]) / "smoke"
    monkeypatch.setenv("FTLIB_RUNS", "~/elsewhere")
    assert files.runs_root() == Path.home() / "elsewhere"
    monkeypatch.delenv("FTLIB_RUNS")
    assert files.runs_root() == repository / "runs"
    monkeypatch.setattr(files, "__file__", "/somewhere/site-packages/ftlib/runtime/files.py")
    assert files.runs_root() == Path.cwd() / "runs"


def test_stored_json_is_readable(tmp_path):
    """Without it a manifest cannot be read by people, or not by other programs."""
    write_json(tmp_path / "x.json", {"title": "café"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "café" in text and "\n" in text and json.loads(text) == {"title": "café"}


class Killed(BaseException):
    """Ends a process at once; no handler of ours may catch it."""


def test_what_a_kill_inside_a_rename_left_is_no_file_of_the_stage(stage):
    """The next attempt counted manifest.json.partial, and its own rename took it away: "is missing", for ever."""
    with contextlib.suppress(Killed), stage.writing(StageKey("k1", CONFIG, READ), "smoke"):
        write_text(stage.path / "weights", "whole")
        write_text(stage.path / "manifest.json.partial", "left behind")
        raise Killed
    with stage.writing(StageKey("k1", CONFIG, READ), "smoke"):  # resumes: what is there stays
        assert (stage.path / "weights").exists()
    assert set(stage.manifest()["sums"]) == {"weights"} and stage.verified() == stage.path


def test_prepare_survives_a_kill_at_every_rename(tmp_path, monkeypatch):
    """A kill while started.json was renamed left a folder that ftlib took for somebody else's."""
    command, replace = ["prepare", "--set", "data.train_size=20", "--run"], os.replace
    assert main([*command, str(tmp_path / "whole")]) == 0

    def rows_of(run: Run) -> dict[str, str]:
        sums = run.stage("dataset").manifest()["sums"]  # the funnel's seconds differ
        return {name: fingerprint for name, fingerprint in sums.items() if name.endswith(".arrow")}

    expected, kills = rows_of(Run(tmp_path / "whole")), 0
    for number in itertools.count():
        left = [number]

        def kill(source, target, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            replace(source, target)

        run = Run(tmp_path / f"killed{number}")
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", kill)
            try:
                assert main([*command, str(run.path)]) == 0
                break
            except Killed:
                kills += 1
        assert not run.stage("dataset").complete
        assert main([*command, str(run.path)]) == 0
        assert rows_of(run) == expected
    assert kills >= 4
