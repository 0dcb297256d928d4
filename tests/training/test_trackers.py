"""TensorBoard and Trackio: what they are given, where it lies, and what a missing package costs."""

import importlib.util

import pytest
import smoke
from smoke import FAST

from ftlib.config.settings import ConfigError
from ftlib.pipeline.stage import Run, StageKey
from ftlib.runtime.files import read_jsonl
from ftlib.training import fine_tuning, trackers


def config(**overrides):
    return smoke.Config.load("smoke", env={}, **(FAST | overrides))


def scalars(folder) -> dict[str, list[int]]:
    """{name: steps} of what a folder of TensorBoard holds."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="not installed")
    read = events.EventAccumulator(str(folder))
    read.Reload()
    return {name: [point.step for point in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_a_missing_package_is_named_before_the_training(monkeypatch, tmp_path):
    """A training that ends in an ImportError at its first log line has cost the loading of the model."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "trackio" else find(name))
    with pytest.raises(ConfigError) as error:
        fine_tuning.train(config(**{"train.report_to": ["trackio"]}), None, tmp_path / "adapter")
    assert "pip install trackio" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_an_unknown_tracker_is_refused():
    """A misspelled name would train without the curves that its user waits for."""
    with pytest.raises(ConfigError, match="train.report_to"):
        config(**{"train.report_to": ["tensorbord"]})


def test_tensorboard_has_the_figures_of_the_log(tmp_path):
    """Other names than the log's, or other steps, make two curves of one training."""
    pytest.importorskip("tensorboard", reason="an extra")
    cfg = config(**{"train.report_to": ["tensorboard"], "train.sample_rows": 1})
    fine_tuning.train(cfg, smoke.dataset(), tmp_path / "adapter", score=lambda *_: {"rougeL": 0.5})
    found, log = scalars(tmp_path / "trackers" / "training-001"), read_jsonl(tmp_path / "adapter" / "train_log.jsonl")
    expected: dict = {}
    for line in log:
        for name in line.keys() - {"step", "samples"}:
            expected.setdefault(name, []).append(line["step"])
    assert found == expected and found["rougeL"] == [0, 2, 4]
    assert {"loss", "validation_loss", "learning_rate", "grad_norm", "tokens_per_s", "stops"} <= found.keys()


def test_a_resumed_training_continues_its_curves(tmp_path, monkeypatch):
    """Steps that are trained twice would be drawn twice, and a new folder would begin in the middle."""
    pytest.importorskip("tensorboard", reason="an extra")

    class Interrupted(Exception):
        pass

    def stop(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise Interrupted

    cfg = config(**{"train.report_to": ["tensorboard"]})
    monkeypatch.setattr(fine_tuning.Progress, "on_step_begin", stop)
    with pytest.raises(Interrupted):
        fine_tuning.train(cfg, smoke.dataset(), tmp_path / "adapter")
    monkeypatch.undo()
    fine_tuning.train(cfg, smoke.dataset(), tmp_path / "adapter")
    assert [path.name for path in (tmp_path / "trackers").iterdir()] == ["training-001"]
    assert scalars(tmp_path / "trackers" / "training-001")["loss"] == [1, 2, 3, 4]
    assert trackers.training_folder(tmp_path / "trackers", resumed=False).name == "training-002"


def test_curves_survive_a_rebuilt_stage_and_have_no_checksum(tmp_path):
    """A curve that is cleared with the stage cannot be compared; one with a checksum makes the stage look damaged."""
    stage = Run(tmp_path / "run").stage("adapter")
    for key in ("one", "two"):
        with stage.writing(StageKey(key, {}, {}), "smoke"):
            (trackers.training_folder(stage.path.parent / trackers.FOLDER, False) / "events").write_text(key)
            (stage.path / "weights").write_text(key)
    assert [path.name for path in sorted((tmp_path / "run" / "trackers").iterdir())] == ["training-001", "training-002"]
    assert stage.manifest()["sums"].keys() == {"weights"}


def test_a_run_that_is_cleaned_leaves_no_curves(tmp_path):
    """`ftlib runs clean --all` would leave a folder behind that is listed nowhere."""
    from ftlib.pipeline import run_admin

    run = Run(tmp_path / "run")
    with run.stage("adapter").writing(StageKey("one", {}, {}), "smoke"):
        trackers.training_folder(run.path / trackers.FOLDER, False)
    run_admin.clean(run, everything=True)
    assert not run.path.exists()


def test_a_tracker_that_fails_does_not_end_the_training(tmp_path, capsys):
    """A full disk or a server that is down would cost the hours that were trained."""

    class Broken:
        name = "broken"

        def log(self, values, step):
            raise OSError("no space left")

    reporting = trackers.Trackers(["broken"], tmp_path / "adapter")
    reporting.active = [Broken()]
    for step in (1, 2):
        reporting.report({"step": step, "loss": 1.0})
    assert capsys.readouterr().out.count("broken stopped at step 1 (no space left)") == 1 and not reporting.active
