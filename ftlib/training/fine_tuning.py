"""Fine-tune with LoRA or QLoRA: small trainable matrices beside a frozen base (Hu et al. 2021; Dettmers et al. 2023).

`lora.variant` = dora also trains the magnitude of each output (Liu et al. 2024), with PEFT's own layers.

`train(cfg, dataset, folder)` writes the adapter, `train_log.jsonl` and `trained_uids.txt`. The loop, resuming and mixed
precision are those of the Hugging Face Trainer; labels, packing and the loss are ours, because they are what the course
teaches. A step counts examples, not rows: 16 by default, as in the reference, packed into as few rows as they need.
`ftlib train` resumes from the last checkpoint.
"""

from __future__ import annotations

import functools
import math
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from peft import get_peft_model
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from ftlib.config.settings import Config, ConfigError
from ftlib.models.checks import check_base
from ftlib.models.loading import Precision, check_model, load_base, lora_config, precision, weight_bytes
from ftlib.prompts.encoding import Example
from ftlib.prompts.packing import Flat, make_collator
from ftlib.prompts.templates import Passages
from ftlib.runtime import distributed, hardware, timeline
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_jsonl, write_text
from ftlib.training import compiler
from ftlib.training.checkpoints import CHECKPOINTS, last_checkpoint, resume
from ftlib.training.compiled_step import FixedTrainer, can_compile, fixed_parts
from ftlib.training.dry_run import format_duration, format_peak, plan
from ftlib.training.oom_fallback import OutOfMemory, advice, auto_batch, fit, free, record_smaller
from ftlib.training.samples import Samples, Score
from ftlib.training.token_cache import encoded
from ftlib.training.trackers import Trackers, check_trackers
from ftlib.training.trained_rows import TRAINED_UIDS, times_trained
from ftlib.training.trainer import CHECKPOINTING, Diverged, ExamplesTrainer, Progress

SHOWN_UIDS = 20  # rows of a failed step that are named


def add_adapter(model, cfg: Config):
    """Add LoRA matrices to a base and freeze it; B starts at zero, so the first outputs are the base's.

    Trainable weights are kept in float32 for every type of the base: 16-bit updates of 1e-5 would round to nothing, and
    fp16 training refuses to unscale fp16 gradients (peft#341 is this recipe). A is drawn on the base's device: hundreds of
    small matrices take a second to be copied to a GPU one by one. With `lora.r` = 0 there is no adapter: the model itself
    is returned, with all its weights trainable and in float32.
    """
    set_seed(cfg.train.seed)  # the random A matrices
    if cfg.lora.r == 0:
        return model.float().requires_grad_()
    with model.device:
        adapted = get_peft_model(model, lora_config(cfg, model))
    adapted.create_or_update_model_card = _write_no_card
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    if model.device.type == "cpu" and getattr(model, "is_loaded_in_4bit", False):
        from ftlib.models.lora_on_cpu import compute_at_once

        compute_at_once(adapted)
    return adapted


def _write_no_card(_: str) -> None:
    """Leave out PEFT's card: with each checkpoint it renders a page that names a folder of this machine as the base.

    `ftlib export` writes a card that says what was trained and measured.
    """


def count_steps(cfg: Config, examples: int) -> int:
    """Return the optimizer steps: `train.max_steps`, or as many as `train.epochs` need."""
    return cfg.train.max_steps or whole_steps(cfg.train.epochs * math.ceil(examples / cfg.train.examples_per_step))


def whole_steps(steps: float) -> int:
    """Round up to whole steps, but not for a rounding error: 7 % of 100 is 7.000000000000001 in floating point."""
    return math.ceil(round(steps, 6))


def share_of_step(cfg: Config) -> int:
    """Return the examples of a step in this process, so that the step is the same with any number. Raises ConfigError."""
    t, processes = cfg.train, distributed.world()
    if t.examples_per_step % processes or (t.micro_batch and t.examples_per_step // processes % t.micro_batch):
        micro = f" and train.micro_batch = {t.micro_batch}" if t.micro_batch else ""
        raise ConfigError(
            f"train.examples_per_step = {t.examples_per_step}{micro}: cannot be shared by {processes} processes; "
            f"set a multiple of {processes * (t.micro_batch or 1)}"
        )
    return t.examples_per_step // processes


def training_arguments(
    cfg: Config, precision: Precision, folder: Path, steps: int, fast: bool = False
) -> TrainingArguments:
    """Translate the settings into TrainingArguments. fast: an item of the data set is a whole step (see `compiled_step`)."""
    t = cfg.train
    micro = 1 if fast else t.micro_batch or share_of_step(cfg)
    return TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=1 if fast else share_of_step(cfg) // micro,
        ddp_find_unused_parameters=False,
        learning_rate=t.learning_rate,
        lr_scheduler_type=t.scheduler,
        warmup_steps=whole_steps(t.warmup_share * steps),
        weight_decay=t.weight_decay,
        max_grad_norm=0.0 if fast else t.max_grad_norm,  # the compiled step clips the gradient itself
        optim=t.optimizer,
        fp16=precision.fp16,
        bf16=precision.bf16,
        use_cpu=hardware.device() == "cpu",
        seed=t.seed,
        data_seed=t.seed,
        train_sampling_strategy="group_by_length" if t.batching == "grouped" else "random",
        eval_strategy="steps" if t.eval_steps else "no",
        eval_steps=t.eval_steps,
        save_strategy="steps",
        save_steps=t.save_steps,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,  # otherwise early stopping restarts its patience from 0 when resuming
        load_best_model_at_end=bool(t.eval_steps),
        metric_for_best_model="eval_loss" if t.eval_steps else None,
        greater_is_better=False if t.eval_steps else None,
        logging_steps=t.log_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it reads the loss back in every step; weights are checked when they are saved
        disable_tqdm=True,  # Progress draws the bar
        report_to="none",
        remove_unused_columns=False,
        # a synchronous copy would block Python until the GPU is done
        accelerator_config={"non_blocking": hardware.device() != "cpu"},
        label_names=["labels"],
        **{CHECKPOINTING: t.checkpointing},
    )


def build_trainer(
    cfg: Config,
    dataset,
    folder: Path,
    cache_folder: Path | None = None,
    passages: Mapping[str, Passages] | None = None,
    score: Score | None = None,
) -> tuple[ExamplesTrainer, dict]:
    """Build everything up to the first step: model, encoded rows, arguments.

    Args:
        cache_folder: where encoded rows are cached for the next training (see `token_cache`), or None.
        passages: {uid: retrieved rows in its prompt}, see `retrieval.passages.training_passages`.
        score: computes metrics of the samples (see `samples`), or None.

    Returns:
        The trainer, and what the manifest records of it.
    """
    check_trackers(cfg)
    tokenizer = check_base(cfg)
    check_model(cfg)
    same_bits, chosen = hardware.be_deterministic(), precision(cfg)
    encode = functools.partial(encode_splits, cfg, tokenizer, dataset, cache_folder, passages)
    with ThreadPoolExecutor(2) as background:
        hashing = compiler.hash_files(background) if cfg.train.compile and hardware.cuda_capability() else None
        # worker processes encode while this one loads; with several ranks, rank 0 encodes and the others wait for it
        encoding = background.submit(encode) if distributed.world() == 1 else None
        with timeline.phase("load the base"):
            base = load_base(cfg, chosen)
            base_bytes = weight_bytes(base)
            model = add_adapter(base, cfg)
        with timeline.phase("encode rows"):
            examples, validation, encode_seconds = encoding.result() if encoding else encode()
    if hashing:
        hashing.result()
    fast = can_compile(cfg, chosen, model)
    if fast:
        batches = fixed_parts(cfg, chosen, model, examples, tokenizer.pad_token_id)
        kind, steps = FixedTrainer, len(batches["train_dataset"].steps)
    else:
        collator = make_collator(cfg.train.batching, tokenizer.pad_token_id, cfg.train.row_length)
        kind, steps = ExamplesTrainer, count_steps(cfg, len(examples))
        batches = {"train_dataset": examples, "data_collator": collator}
    trackers = Trackers(cfg.train.report_to, folder)
    progress = Progress(folder / "train_log.jsonl", (trackers.report,))
    held_out = dataset["validation"]
    shown = list(held_out.select(range(min(cfg.train.sample_rows, len(held_out)))))
    samples = Samples(shown, tokenizer, cfg.generation, score)
    stopping = [EarlyStoppingCallback(cfg.train.early_stopping)] if cfg.train.early_stopping else []
    trainer = kind(
        model=model,
        args=training_arguments(cfg, chosen, folder, steps, fast),
        eval_dataset=validation,
        callbacks=[progress, trackers, samples, *stopping],
        validation=validation,
        pad_id=tokenizer.pad_token_id,
        row_length=cfg.train.row_length,
        warmup_from=cfg.train.warmup_from,
        **batches,
    )
    trainer.remove_callback(PrinterCallback)  # it prints raw dicts next to our bar
    samples.trainer = progress.trainer = trainer
    trainer.progress, trainer.tokenizer_for_saving = progress, tokenizer
    return trainer, {
        "seed": cfg.train.seed,
        "deterministic": same_bits,
        "precision": {key: getattr(chosen, key) for key in ("dtype", "quantization", "fp16", "bf16")},
        "reasons": chosen.reasons,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "base_mib": round(base_bytes / 2**20, 1),
        "examples": len(examples),
        "examples_with_passages": sum(uid in (passages or {}) for uid in dataset["train"]["uid"][:]),
        "cut_examples": int(examples.cut.sum()),
        "mean_tokens": round(len(examples.ids) / len(examples), 1),
        "encode_seconds": round(encode_seconds, 2),
        "steps": steps,
    }


def encode_splits(
    cfg: Config, tokenizer, dataset, cache_folder: Path | None, passages: Mapping[str, Passages] | None = None
) -> tuple[Flat, list[Example], float]:
    """Encode the training rows as configured, and the validation rows with the labels by which every recipe is measured.

    Returns both, and the seconds that it took.
    """
    started = time.perf_counter()
    held_out = dataset["validation"].select(range(min(cfg.train.eval_rows, len(dataset["validation"]))))
    splits = [(dataset["train"], cfg.train), (held_out, cfg.train.as_measured())]
    examples, measured = encoded(tokenizer, splits, cache_folder, passages, cfg.prompt_format)
    return examples, list(measured), time.perf_counter() - started


def train(
    cfg: Config,
    dataset,
    folder: Path,
    cache_folder: Path | None = None,
    passages: Mapping[str, Passages] | None = None,
    score: Score | None = None,
) -> dict:
    """Train and write the adapter into `folder`; resume from a checkpoint that is there. Returns what the manifest records.

    Args:
        cache_folder, passages, score: as in `build_trainer`.

    Raises:
        TrainingFailed: the training diverged.
        OutOfMemory: it does not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        checkpoint = distributed.agree(last_checkpoint(folder) if distributed.first() else None)
        done = int(checkpoint.name.split("-")[1]) if checkpoint else 0
        build = functools.partial(
            build_trainer, dataset=dataset, folder=folder, cache_folder=cache_folder, passages=passages, score=score
        )
        trainer, record = fit(cfg, build, folder / CHECKPOINTS, done)
        hardware.forget_peak()
        started = time.perf_counter()
        try:
            with timeline.phase("steps"):
                resume(trainer, checkpoint, record["steps"])
            break
        except Diverged as error:
            raise not_a_number(error, cfg, trainer, dataset) from error
        except torch.OutOfMemoryError as error:
            if not auto_batch() or distributed.world() > 1:
                raise OutOfMemory(
                    f"the memory ran out in training: run the same command with --auto-batch, or set train.checkpointing=true or "
                    f"a smaller train.micro_batch; or {advice(cfg)}"
                ) from error
        # outside of the handler, because the error references tensors
        record_smaller(cfg, trainer, record, folder / CHECKPOINTS)
        del trainer
        free()
    if done == 0 and trainer.skipped == trainer.state.global_step:
        raise TrainingFailed(
            f"float16 overflowed in all {trainer.skipped} steps, so nothing was trained: set train.bf16=true on a GPU that has "
            "it, or model.dtype=float32 and train.fp16=false"
        )
    seconds, peak = time.perf_counter() - started, hardware.peak_gib()
    log.info(f"took: {format_duration(seconds)}, {format_peak(peak)}")
    times = times_trained(trainer, record["examples"])
    if distributed.first():
        with timeline.phase("save"):
            save_adapter(trainer, cfg, folder)
        uids = (uid for uid, count in zip(dataset["train"]["uid"][:], times, strict=True) if count)
        write_text(folder / TRAINED_UIDS, "".join(f"{uid}\n" for uid in uids))
    distributed.wait()  # a checkpoint may still be read by another process
    if distributed.first():
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    best, tokens = trainer.state.best_metric, int(distributed.total([trainer.tokens])[0])
    return record | {
        "resumed_from_step": done or None,
        "stopped_at_step": trainer.state.global_step,
        "best_step": trainer.state.best_global_step,
        "trained_rows": sum(map(bool, times)),
        "trained_epochs": round(sum(times) / len(times), 2),
        "validation_loss": round(best, 4) if best is not None else None,
        "skipped_steps": trainer.skipped,
        "train_seconds": round(seconds, 2),
        "peak_gib": peak,
        "processes": distributed.world(),
        "tokens": tokens,
        "tokens_per_s": round(tokens / trainer.progress.step_seconds) if tokens else last_rate(folder),
        "padding_efficiency": trainer.padding_efficiency if tokens else None,  # no step was taken here
    }


def last_rate(folder: Path) -> int | None:
    """Return the last tokens/s in the log: from before an interruption, if all steps were taken by then."""
    rates = [line["tokens_per_s"] for line in read_jsonl(folder / "train_log.jsonl") if "tokens_per_s" in line]
    return rates[-1] if rates else None


class TrainingFailed(FtlibError):
    """The training diverged; the message says what to try."""


def not_a_number(error: Diverged, cfg: Config, trainer: ExamplesTrainer, dataset) -> TrainingFailed:
    """Return the error for a loss that is not finite: since which step, in which rows, and what to try."""
    positions = trainer.example_indices(plan(trainer)[error.step - 1])
    uids = dataset["train"].select(positions)["uid"]
    since = f"steps {error.first} to {error.step}" if error.first < error.step else f"step {error.step}"
    rows = f"rows {', '.join(uids[:SHOWN_UIDS])}{' and others' if len(uids) > SHOWN_UIDS else ''}"
    fp16 = ", train.bf16=true on a GPU that has it" if trainer.args.fp16 else ""
    return TrainingFailed(
        f"the loss of {since} is {error.logged['loss']}, so training diverged (the last step held {rows}): "
        f"try a smaller train.learning_rate (now {cfg.train.learning_rate}), a smaller train.max_grad_norm "
        f"(now {cfg.train.max_grad_norm}){fp16}, or look at those rows"
    )


def save_adapter(trainer: ExamplesTrainer, cfg: Config, folder: Path) -> None:
    """Save the adapter and its tokenizer; the base is recorded by its name, not by a folder of this machine."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    for weight_name, weight in model.named_parameters():
        if weight.requires_grad and not torch.isfinite(weight).all():
            raise RuntimeError(
                f"{weight_name} is not finite after training: lower train.learning_rate or train.max_grad_norm"
            )
    for peft_config in getattr(model, "peft_config", {}).values():
        peft_config.base_model_name_or_path = cfg.model.name
    model.save_pretrained(folder, save_embedding_layers=False)
    trainer.tokenizer_for_saving.save_pretrained(folder)
