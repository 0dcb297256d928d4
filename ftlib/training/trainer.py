"""The Hugging Face Trainer with our loss, our validation, a count of real tokens, and a JSONL log.

Plain steps (`fine_tuning`) and compiled ones (`compiled_step`) are both built on it. With several processes each has
its share of a step; rank 0 prints and writes.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from tqdm import tqdm
from transformers import SchedulerType, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from ftlib.models.likelihood import answer_loss, answer_nll, logits_only_at, mean_nll, predicting
from ftlib.models.packed_attention import example_by_example
from ftlib.runtime import distributed, timeline
from ftlib.runtime.console import log
from ftlib.runtime.files import read_jsonl, write_text

# transformers renamed gradient checkpointing; both names mean: recompute activations instead of keeping them
CHECKPOINTING = (
    "activation_checkpointing"
    if "activation_checkpointing" in TrainingArguments.__dataclass_fields__
    else "gradient_checkpointing"
)


def _loss(outputs, labels, num_items_in_batch=None):
    """Compute our loss in the Trainer's form: summed over the step's labeled tokens, divided by their number."""
    return answer_loss(outputs.logits, labels, num_items_in_batch)


# The scale of losses in float16 at the start. PyTorch's 65,536 overflows in the first steps of most models, each of which is then
# skipped: a training of a few steps would change nothing.
FP16_SCALE = 4096.0


class ExamplesTrainer(Trainer):
    """The Trainer with our loss, our validation (the NLL that evaluation reports) and a count of real tokens."""

    def __init__(self, *args, validation: list, pad_id: int, row_length: int, warmup_from: str = "first", **kwargs):
        super().__init__(*args, compute_loss_func=_loss, **kwargs)
        self.warmup_from = warmup_from
        self.validation, self.pad_id, self.row_length = validation, pad_id, row_length
        self.counted, self.slots, self.spared, self.paused, self.skipped = None, 0, 0, 0.0, 0
        if scaler := getattr(self.accelerator, "scaler", None):
            scaler.load_state_dict(scaler.state_dict() | {"scale": FP16_SCALE})

    def count_tokens(self, inputs) -> None:
        """Add a batch's tokens and slots. The sum stays on the device: reading it would make the GPU wait for Python."""
        real = (inputs["owners"] >= 0).sum()
        self.counted = real if self.counted is None else self.counted + real
        self.slots += inputs["owners"].numel()

    @property
    def tokens(self) -> int:
        """Return the real tokens that this process has trained on so far, padding left out."""
        return 0 if self.counted is None else int(self.counted)

    @property
    def padding_efficiency(self) -> float:
        """Return the share of the computed tokens that are not padding."""
        return round((self.tokens - int(self.spared)) / self.slots, 4)

    def example_indices(self, step: list[list[int]]) -> list[int]:
        """Return the positions of a step's training rows. step: batches of items, as `dry_run.plan` lists them."""
        return [example_idx for batch in step for example_idx in batch]

    def _get_train_sampler(self, train_dataset=None):
        rows = train_dataset if train_dataset is not None else self.train_dataset
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(rows)
        return GroupedSampler(rows, self.args.train_batch_size * self.args.gradient_accumulation_steps, self.args.seed)

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        """Create the learning-rate schedule; with `warmup_from` = first, step k of the warm-up has the share k / warm-up.

        transformers starts the warm-up at a rate of 0, so that its first step changes no weight.
        """
        if self.lr_scheduler is not None:
            return self.lr_scheduler
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)
        if self.warmup_from == "first" and warmup and self.args.lr_scheduler_type != SchedulerType.CONSTANT:
            usual = scheduler.lr_lambdas[0]
            for group, rate in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
                group["lr"] = rate
            self.lr_scheduler = LambdaLR(
                scheduler.optimizer, lambda step: (step + 1) / warmup if step < warmup else usual(step)
            )
        return self.lr_scheduler

    def compute_loss(self, model, inputs, *args, **kwargs):
        """Compute the loss of a batch and count its tokens."""
        self.count_tokens(inputs)
        with example_by_example(self.model, inputs) as batch, logits_only_at(self.model, predicting(batch["labels"])):
            return super().compute_loss(model, {k: v for k, v in batch.items() if k != "owners"}, *args, **kwargs)

    def score(self, examples: list) -> tuple[list[float], list[int]]:
        """Return (nats, labeled tokens) of each example under the current weights."""
        return answer_nll(self.model, examples, self.pad_id, self.row_length)

    def evaluate(self, *_, **__):
        """Compute nats per answer token of the validation rows; the Trainer keeps the checkpoint where it is lowest."""
        started = time.perf_counter()
        with timeline.phase("validation"):
            sums, counts = self.score(distributed.mine(self.validation))
        metrics = {"eval_loss": mean_nll(*([total] for total in distributed.total([sum(sums), sum(counts)])))}
        self.paused += time.perf_counter() - started
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @contextlib.contextmanager
    def generating(self) -> Iterator:
        """Yield the model under its adapter in evaluation mode and mixed precision; restore mode and random state."""
        model, training = self.model, self.model.training
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        model.eval()
        try:
            with torch.random.fork_rng(devices), self.accelerator.autocast():
                yield model.get_base_model() if hasattr(model, "peft_config") else model
        finally:
            model.train(training)

    def _save_checkpoint(self, *args, **kwargs):
        started = time.perf_counter()
        trained = (weight for weight in self.model.parameters() if weight.requires_grad)
        if not all(bool(weight.isfinite().all()) for weight in trained):
            # never checkpoint non-finite weights
            raise Diverged(self.state.global_step, self.args.logging_steps, {"loss": float("nan")})
        super()._save_checkpoint(*args, **kwargs)
        self.paused += time.perf_counter() - started


class GroupedSampler(Sampler):
    """Training rows in an order that groups like lengths, drawn from (seed, epoch).

    The sampler of transformers draws from the global generator, so a resumed training would get another order.
    """

    def __init__(self, rows, batch_size: int, seed: int):
        self.lengths = [len(row["input_ids"]) for row in rows]
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


class Diverged(Exception):
    """The loss is not finite, at `step` or since `first`, the step after the last one that was logged."""

    def __init__(self, step: int, every: int, logged: dict):
        super().__init__(f"the loss of step {step} is {logged['loss']}")
        self.step, self.first, self.logged = step, max(step - every + 1, 1), logged


class Progress(TrainerCallback):
    """A progress bar with loss, tokens/s and time left, and the JSONL log that the loss plot is drawn from."""

    def __init__(self, log_path: Path, listeners: tuple[Callable[[dict], None], ...] = ()):
        """log_path: of train_log.jsonl. listeners: called with each line that is appended to it."""
        self.log_path, self.listeners, self.trainer = log_path, listeners, None
        self.step_seconds, self.bar, self._last, self._first, self._began = 0.0, None, {}, 0, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Drop what the log holds beyond the checkpoint, and open the bar."""
        self._first, self._began = state.global_step, time.perf_counter()
        if not distributed.first():
            return
        # the log of the resumed run, up to its checkpoint; nothing of an attempt that did not reach one
        lines = [line for line in read_jsonl(self.log_path) if line["step"] <= state.global_step and self._first]
        write_text(self.log_path, "".join(json.dumps(line) + "\n" for line in lines))
        self.bar = tqdm(total=state.max_steps, initial=self._first, desc="training", unit=" steps", disable=None)

    def on_step_end(self, args, state, control, **kwargs):
        """Advance the bar; have the last step validated and saved, so that the last weights can win."""
        self.trainer.skipped += self.trainer.accelerator.optimizer_step_was_skipped
        if self.bar:
            self.bar.update(1)
        if state.global_step >= state.max_steps and args.eval_strategy != "no":
            control.should_evaluate = control.should_save = True  # the last weights must be able to win

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Append a line to the log and update the bar."""
        if not distributed.first():
            return
        names = {
            "loss": "loss",
            "eval_loss": "validation_loss",
            "learning_rate": "learning_rate",
            "grad_norm": "grad_norm",
        }
        entry = {names[key]: value for key, value in logs.items() if key in names}
        if not entry:
            return
        if not math.isfinite(entry.get("loss", 0.0)):
            raise Diverged(state.global_step, args.logging_steps, entry)
        # the logged loss was read from the GPU, so all steps up to here are done
        self.step_seconds = time.perf_counter() - self._began - self.trainer.paused
        # every process has about the same share of the tokens
        rate = round(self.trainer.tokens * distributed.world() / self.step_seconds)
        entry = {"step": state.global_step, **entry, "tokens_per_s": rate}
        self.append(entry)
        self._last |= {k: f"{v:.3f}" for k, v in entry.items() if k in ("loss", "validation_loss")}
        self.bar.set_postfix(self._last | {"tokens/s": rate})
        if self.bar.disable:
            shown = ", ".join(f"{k} {v}" for k, v in self._last.items())
            steps = max(state.global_step - self._first, 1)
            left = self.step_seconds / steps * (state.max_steps - state.global_step)
            log.info(f"step {state.global_step}/{state.max_steps}: {shown}, {rate} tokens/s, {left:.0f} s left")

    def append(self, entry: dict) -> None:
        """Append a line to the log and pass it to the listeners; rank 0 alone calls this."""
        with open(self.log_path, "a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(entry) + "\n")
        for listener in self.listeners:
            listener(entry)

    def on_train_end(self, args, state, control, **kwargs):
        """Close the bar."""
        self.step_seconds = time.perf_counter() - self._began - self.trainer.paused
        if self.bar:
            self.bar.close()
