"""The command line as a newcomer meets it."""

import gzip
import json
import subprocess
import sys

import pytest

from ftlib.cli.entry import main
from ftlib.pipeline.stage import Run


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_ftlib_and_asking_for_help_loads_no_torch():
    """A notebook's first cell and `ftlib --help` would otherwise take five seconds."""
    heavy = "{'torch', 'transformers', 'datasets', 'matplotlib', 'pydantic'} & set(sys.modules)"
    assert python(f"import sys, ftlib; print({heavy})").strip() == "set()"
    shown = f"import sys, ftlib.cli.entry\ntry: ftlib.cli.entry.main(['--help'])\nexcept SystemExit: print({heavy})"
    assert python(shown).strip().endswith("set()")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["run", "--set", "train.learnin_rate=1"], "did you mean train.learning_rate"),
        (["run", "--set", "train.learning_rate=fast"], "train.learning_rate = 'fast'"),
        (["run", "--set", "train.learning_rate"], "write it as section.key=value"),
        (["train", "--set", "train.fp16=true", "--set", "train.bf16=true"], "only one of them can be on"),
        (["prepare", "--profile", "huge"], "allowed are smoke, cpu, t4, gpu, seed"),
        (["prepare", "--data", "nowhere.json"], "nowhere.json does not exist"),
        (["prepare", "--data", "sample", "--set", "data.train_size=999999"], "data.train_size = 999999"),
        (["runs", "compare", "nothing"], "no such run"),
        (["sample", "--rows", "0"], "allowed is 1 or more"),
    ],
)
def test_a_mistake_ends_in_one_line_that_says_what_to_do(arguments, message, capsys, tmp_path):
    """A traceback of forty lines tells a student nothing."""
    extra = ["--run", str(tmp_path / "run")] if arguments[0] in ("run", "train", "prepare") else []
    assert main([*arguments, *extra]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and "Traceback" not in said


def test_config_prints_every_setting_with_its_source(capsys):
    """Without it nobody can tell why a run used NF4 or where a value came from."""
    assert main(["config", "--profile", "t4", "--set", "train.learning_rate=3e-4"]) == 0
    said = capsys.readouterr().out
    assert "profile t4" in said
    assert any("learning_rate: 0.0003" in line and "set by you" in line for line in said.splitlines())
    assert any("micro_batch: 8" in line and "profile t4" in line for line in said.splitlines())


def test_sample_writes_rows_that_prepare_reads(tmp_path, capsys):
    """The command's own output must be usable as --data."""
    path = tmp_path / "made.jsonl.gz"
    assert main(["sample", "--rows", "400", "--out", str(path)]) == 0
    with gzip.open(path) as file:
        assert len([json.loads(line) for line in file]) == 400
    assert main(["prepare", "--data", str(path), "--run", str(tmp_path / "run")]) == 0
    assert Run(tmp_path / "run").stage("dataset").complete


def test_a_second_run_reuses_everything_and_says_so(smoke_run, capsys):
    """Retraining for an hour because one asked for the table again is the fault the stages exist to prevent."""
    assert main(["run", "--run", str(smoke_run.path)]) == 0
    said = capsys.readouterr().out
    reused = [line.split(":")[0] for line in said.splitlines() if ": up to date" in line]
    assert reused == ["dataset", "index", "adapter", "merged", "evaluation"]
    assert "building" not in said and "12 unseen titles" in said and "report.html" in said


def test_runs_are_listed_and_compared_with_their_headline_figures(smoke_run, capsys):
    """A folder of runs without figures is a folder of riddles."""
    assert main(["runs", "list"]) == 0
    assert f"{smoke_run.path.name}: " in (said := capsys.readouterr().out) and "nll tuned" in said
    assert main(["runs", "compare", smoke_run.path.name, str(smoke_run.path)]) == 0
    assert "nll base" in capsys.readouterr().out


def test_doctor_answers(capsys):
    """The first thing that anyone with a problem is asked to run."""
    status = main(["doctor"])
    said = capsys.readouterr().out
    assert status in (0, 1) and "profile smoke" in said and "torch 2" in said
    assert ("PROBLEM" in said) == (status == 1)


def test_a_command_leaves_with_its_status_after_everything_that_waits_for_the_end():
    """A quick exit would lose the last lines of output, a tracker's upload or a thread that still writes."""
    script = """if True:
        import atexit, threading, time
        from ftlib.cli.entry import leave
        atexit.register(print, "at exit")
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        print("result")
        leave(3)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split("\n")) == (3, ["result", "thread", "at exit", ""]), done.stderr
