"""Two processes on one job, as `torchrun` starts them: the same training, one writer, answers shared out (gloo on the CPU)."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch
from packaging.version import Version
from safetensors.torch import load_file

from ftlib.cli.entry import main
from ftlib.config.settings import ConfigError
from ftlib.models.loading import precision
from ftlib.pipeline.stage import Run
from ftlib.runtime import distributed
from ftlib.runtime.files import read_json, read_jsonl
from ftlib.training import fine_tuning
from ftlib.training.fine_tuning import share_of_step

pytestmark = pytest.mark.integration

COARSE = ["--set", "generation.max_new_tokens=4"]
PLAIN = ["--set", "model.quantization=none"]


def torchrun(processes: int, *arguments: str, **environment: str) -> str:
    """Run a script, or `-m` and a module, in several processes; returns what they printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    env = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def launch(processes: int, run, *arguments: str, **environment: str) -> str:
    """Run a command of ftlib in several processes; returns what it printed. Its run folder is `run`, named after the profile."""
    return torchrun(processes, "-m", "ftlib", *arguments, FTLIB_RUNS=str(run.parent), **environment)


def losses(run) -> list[float]:
    return [line["loss"] for line in read_jsonl(run / "adapter" / "train_log.jsonl") if "loss" in line]


def weights(run) -> dict:
    return load_file(run / "adapter" / "adapter_model.safetensors")


def apart(run, other) -> float:
    """The largest difference between the weights of two runs."""
    one, two = weights(run), weights(other)
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def stop_after_a_checkpoint(monkeypatch) -> None:
    """Interrupt the training in step 4; there is a checkpoint of step 3."""

    def stop(self, args, state, control, **_):
        if state.global_step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(fine_tuning.Progress, "on_step_begin", stop)


@pytest.mark.slow
def test_two_processes_make_the_run_that_one_makes(tmp_path, smoke_run):
    """Two GPUs that train something else than one, or write over each other, cost more than they save."""
    said = launch(2, tmp_path / "two" / "smoke", "run", *COARSE)
    alone, two = smoke_run.path, tmp_path / "two" / "smoke"
    assert losses(two) == pytest.approx(losses(alone), abs=2e-4)
    one, other = read_json(alone / "adapter" / "manifest.json"), read_json(two / "adapter" / "manifest.json")
    assert (one["processes"], other["processes"]) == (1, 2) and other["fingerprint"] == one["fingerprint"]
    assert other["tokens"] == one["tokens"]
    assert other["validation_loss"] == pytest.approx(one["validation_loss"], abs=1e-3)
    assert said.count("adapter: building") == 1 and said.count("report:") == 1
    answers = read_jsonl(two / "evaluation" / "answers.jsonl")
    assert len(answers) == len({(a["split"], a["system"], a["uid"]) for a in answers}) == 4 * (12 + 6)
    assert not list((two / "evaluation").glob("answers.[0-9]*"))
    assert set(Run(two).manifests()) == {"dataset", "index", "adapter", "merged", "evaluation"}


@pytest.mark.slow
def test_a_finished_command_leaves_the_group(tmp_path):
    """gloo's threads meet a Python that is gone, the process ends with SIGABRT, and a finished run counts as failed."""
    script = tmp_path / "script.py"
    script.write_text("""
import torch.distributed as dist
from ftlib.cli import entry as cli
from ftlib.runtime import distributed as ranks

assert ranks.agree(ranks.rank()) == 0 and dist.is_initialized()
assert cli.main(["config", "--profile", "smoke"]) == 0
assert not dist.is_initialized()
""")
    torchrun(2, str(script))


@pytest.mark.slow
def test_the_fast_step_is_shared_without_changing_it(tmp_path):
    """It goes past the wrapper that adds gradients up; without its own sum each GPU would train a model of its own."""
    fast = ["--set", "train.compile=true", "--set", "train.examples_per_step=12"]  # 10 rows a step: an even number
    assert main(["train", "--run", str(tmp_path / "one"), *fast]) == 0
    launch(2, tmp_path / "two" / "smoke", "train", *fast)
    one, two = (
        read_json(place / "adapter" / "manifest.json") for place in (tmp_path / "one", tmp_path / "two" / "smoke")
    )
    assert two["processes"] == 2 and two["tokens"] == one["tokens"]
    assert losses(tmp_path / "two" / "smoke") == pytest.approx(losses(tmp_path / "one"), abs=2e-4)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two" / "smoke")
    # Adam turns a gradient near zero, whose sign is rounding, into a whole step; so the mean over all weights, not the largest
    apart = sum(float((one[name] - two[name]).abs().mean()) for name in one) / len(one)
    moved = sum(float(weight.abs().mean()) for name, weight in two.items() if "lora_B" in name) / (len(two) / 2)
    assert apart < 0.02 * moved, (apart, moved)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
def test_the_recorded_step_is_shared_by_two_gpus(tmp_path):
    """DistributedDataParallel's hooks, made on another stream, end the recording: no training on two GPUs at all."""
    fast = ["--set", "model.quantization=none", "--set", "model.dtype=bfloat16", "--set", "train.bf16=true"]
    fast += ["--set", "train.compile=true", "--set", "train.examples_per_step=12"]
    launch(1, tmp_path / "one" / "smoke", "train", *fast)
    launch(2, tmp_path / "two" / "smoke", "train", *fast)
    assert losses(tmp_path / "two" / "smoke") == pytest.approx(losses(tmp_path / "one" / "smoke"), abs=0.02)


@pytest.mark.skipif(
    Version(version("transformers")) < Version("5.17"),
    reason="transformers 5.9 cannot give an optimizer's state back to several processes on the CPU (device cpu:0)",
)
@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_processes(tmp_path, monkeypatch):
    """Begun on two GPUs, resumed on the one that is left: that is how nights on shared machines end."""
    assert main(["train", "--run", str(tmp_path / "unbroken")]) == 0
    stop_after_a_checkpoint(monkeypatch)
    assert main(["train", "--run", str(tmp_path / "broken" / "smoke")]) == 130
    monkeypatch.undo()
    assert "resumes after step 3" in launch(2, tmp_path / "broken" / "smoke", "train")
    assert apart(tmp_path / "unbroken", tmp_path / "broken" / "smoke") < 1e-3


def test_a_launch_that_shards_the_base_is_refused(settings, monkeypatch):
    """accelerate would wrap the model once more, and a 4-bit base ends in an error from deep inside another library."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="launch without --use_fsdp"):
        precision(settings())


@pytest.mark.slow
def test_two_processes_measure_before_they_train_and_one_speaks(tmp_path):
    """A probe that only one of them took, or a message that only one sent, leaves the other waiting for ever."""
    few = ["train.max_steps=100", "train.eval_steps=50", "train.save_steps=50", "train.examples_per_step=2"]
    said = launch(2, tmp_path / "smoke", "train", *(word for setting in few for word in ("--set", setting)))
    assert said.count("expected: ") == said.count("took: ") == 1
    made = read_json(tmp_path / "smoke" / "adapter" / "manifest.json")
    assert made["expected_seconds"] > 0 and made["stopped_at_step"] == 100


def test_a_step_that_cannot_be_shared_is_refused(settings, monkeypatch):
    """Three GPUs and 16 examples a step would quietly become 15 or 18."""
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="cannot be shared by 3 processes"):
        share_of_step(settings())


def test_every_item_belongs_to_exactly_one_process(monkeypatch):
    """A row that nobody answers is missing in the table; one that two answer counts twice."""
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(distributed.mine(list(range(8))))
    assert sorted(sum(shares, [])) == list(range(8))
