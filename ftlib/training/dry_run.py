"""Dry run: estimate time and peak memory of a training from five steps.

`probe(trainer)` takes the two largest steps (memory, and warm-up), three typical ones (time) and a batch of the
validation, then restores weights, random state and counters. It is measured on this machine, because figures of another
GPU do not transfer and a training that runs out of memory at step 400 costs hours. `ftlib train` prints `expected: ...`
before the training and `took: ...` after it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator

import torch

from ftlib.models.likelihood import rows_at_once
from ftlib.prompts.packing import pack
from ftlib.runtime import distributed, hardware
from ftlib.training.compiled_step import FixedTrainer
from ftlib.training.trainer import CHECKPOINTING, ExamplesTrainer

# the second of the largest steps runs with the optimizer state allocated, as all later steps do
LARGEST, TYPICAL = 2, 3


def plan(trainer: ExamplesTrainer) -> list[list[list[int]]]:
    """Return the steps of the coming training in this process: [step][batch] -> positions in the data set."""
    loader, size, epoch, steps = trainer.get_train_dataloader(), trainer.args.gradient_accumulation_steps, 0, []
    while len(steps) < trainer.args.max_steps:
        loader.set_epoch(epoch)
        batches = list(loader.batch_sampler)
        steps += [batches[i : i + size] for i in range(0, len(batches), size)]
        epoch += 1
    return steps[: trainer.args.max_steps]


def choose(trainer: ExamplesTrainer, steps: list) -> tuple[list, list]:
    """Return (the steps with the largest batches, steps of the mean size); the largest batch of a step comes last.

    It comes last because the gradients of the earlier batches are in memory by then.
    """

    def slots(batch: list[int]) -> int:
        if isinstance(trainer, FixedTrainer):
            return 0  # all steps have one shape
        return trainer.data_collator.slots(
            [len(trainer.train_dataset[example_idx]["input_ids"]) for example_idx in batch]
        )

    sizes = [[slots(batch) for batch in step] for step in steps]
    mean = sum(map(sum, sizes)) / len(sizes)
    by_peak = sorted(range(len(steps)), key=lambda i: -max(sizes[i]))[:LARGEST]
    by_mean = sorted(range(len(steps)), key=lambda i: abs(sum(sizes[i]) - mean))[:TYPICAL]
    return [sorted(steps[i], key=slots) for i in by_peak], [steps[i] for i in by_mean]


@contextlib.contextmanager
def put_back(trainer: ExamplesTrainer) -> Iterator:
    """Yield the model as training calls it (in mixed precision), then restore weights, random state and counters."""
    model, counters = trainer.model, (trainer.counted, trainer.slots, trainer.spared)
    weights_before = [
        (weight, weight.detach().to("cpu", copy=True)) for weight in model.parameters() if weight.requires_grad
    ]
    training, attributes = model.training, dict(model.__dict__)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            # evaluation_mode: without the DistributedDataParallel wrapper
            yield trainer.accelerator.prepare_model(model, evaluation_mode=True)
        finally:
            # drop the forward that is wrapped in autocast; `train` wraps it again
            for name in set(model.__dict__) - set(attributes):
                delattr(model, name)
            for weight, before in weights_before:
                with torch.no_grad():
                    weight.copy_(before)
                weight.grad = None
            model.train(training)
            trainer.counted, trainer.slots, trainer.spared = counters
            if isinstance(trainer, FixedTrainer):
                trainer.norm = None  # as before its first step


def probe(trainer: ExamplesTrainer, done: int = 0) -> dict:
    """Measure five steps and a batch of the validation, and leave the trainer as it was.

    The estimate includes forward and backward pass, the optimizer and every validation; it excludes saving, and
    communication between processes in plain steps. The compiled step is compiled and captured here.

    Args:
        done: steps that a checkpoint holds already.

    Returns:
        steps (still to take), seconds_per_step, validations, seconds_per_validation, expected_seconds and peak_gib (of the GPU;
        without one, of the process so far).

    Raises:
        torch.OutOfMemoryError: in all processes alike.
    """
    hardware.forget_peak()
    with put_back(trainer) as model:
        if getattr(trainer.args, CHECKPOINTING):
            getattr(model, CHECKPOINTING + "_enable")()
        model.train()
        update = _optimizer_step(trainer, model)
        largest, typical = choose(trainer, plan(trainer))
        _try_largest(trainer, model, largest, update)

        def step(positions: list) -> None:
            samples, count = _samples(trainer, positions)
            for inputs in samples:
                trainer.training_step(model, inputs, count)
            update()

        seconds = sorted(_seconds(lambda positions=positions: step(positions)) for positions in typical)
        step_seconds = seconds[len(typical) // 2]
        batches, batch_seconds = _validation(trainer)
    remaining, validations = trainer.args.max_steps - done, _validations(trainer.args, done)
    return {
        "steps": remaining,
        "seconds_per_step": step_seconds,
        "validations": validations,
        "seconds_per_validation": batches * batch_seconds,
        "expected_seconds": remaining * step_seconds + validations * batches * batch_seconds,
        "peak_gib": hardware.peak_gib(),
    }


def _optimizer_step(trainer: ExamplesTrainer, model) -> Callable[[], None]:
    """Return a function that clips and updates the weights with an optimizer that only the dry run uses."""
    compiled = isinstance(trainer, FixedTrainer)  # it clips the gradient itself, and overwrites its one gradient
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, model)
    optimizer = kind([trainer.step_function.flat.vector] if compiled else weights, **options)

    def update() -> None:
        if not compiled:
            torch.nn.utils.clip_grad_norm_(weights, trainer.args.max_grad_norm)
        optimizer.step()
        if not compiled:
            optimizer.zero_grad()

    return update


def _try_largest(trainer: ExamplesTrainer, model, largest: list, update: Callable[[], None]) -> None:
    """Take the largest steps. Raises torch.OutOfMemoryError in all processes if memory runs out in one of them."""
    prepared = [_samples(trainer, step) for step in largest]
    fits = True
    try:  # no collective operation until the results are summed, or a process that fails would leave the others waiting
        for samples, count in prepared:
            for inputs in samples:
                _passes(trainer, model, inputs, count)
            update()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        fits = False
    if distributed.total([float(not fits)])[0]:
        raise torch.OutOfMemoryError("the largest step does not fit in memory")


def _samples(trainer: ExamplesTrainer, step: list):
    """Return (batches of a step as tensors, the number of labeled tokens in it), as the Trainer makes them."""
    batches = [trainer.data_collator([trainer.train_dataset[example_idx] for example_idx in batch]) for batch in step]
    return trainer.get_batch_samples(iter(batches), len(batches), trainer.args.device)


def _passes(trainer: ExamplesTrainer, model, inputs, count) -> None:
    """Run forward and backward pass of one batch, without communication between processes."""
    if isinstance(trainer, FixedTrainer):
        trainer.step_function(trainer._prepare_inputs(inputs), count)
    else:
        trainer.training_step(model, inputs, count)


def _seconds(work: Callable) -> float:
    """Return the seconds that `work` takes, the GPU's part included."""
    _finish()
    started = time.perf_counter()
    work()
    _finish()
    return time.perf_counter() - started


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _validation(trainer: ExamplesTrainer) -> tuple[int, float]:
    """Return (batches of one validation in this process, seconds of a batch after a row for warm-up)."""
    examples = distributed.mine(trainer.validation)
    if trainer.args.eval_strategy == "no" or not examples:
        return 0, 0.0
    rows = pack([len(example["input_ids"]) for example in examples], trainer.row_length)
    size = rows_at_once(trainer.model, trainer.row_length)
    trainer.score([examples[example_idx] for example_idx in rows[0]])
    batch = [examples[example_idx] for row in rows[:size] for example_idx in row]
    return math.ceil(len(rows) / size), _seconds(lambda: trainer.score(batch))


def _validations(args, done: int) -> int:
    """Return how many validations are still to come: one every `eval_steps`, and one after the last step."""
    if args.eval_strategy == "no":
        return 0
    return sum(step > done for step in {*range(0, args.max_steps, int(args.eval_steps)), args.max_steps})


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Return True if memory ran out, also where it caused another error (such as a failed capture)."""
    while error is not None and not isinstance(error, torch.OutOfMemoryError):
        error = error.__cause__ or error.__context__
    return error is not None


def format_duration(seconds: float) -> str:
    """Format a duration: '45 s', '2 min 10 s', '1 h 5 min'."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    return f"{total // 60} min {total % 60} s" if total < 3600 else f"{total // 3600} h {total % 3600 // 60} min"


def format_peak(gib: float) -> str:
    """Format the peak memory and the memory of the device."""
    kind = "GPU memory" if torch.cuda.is_available() else "memory"
    return f"peak {kind} {gib:.1f} GiB of {hardware.memory_gib():.1f}"


def expectation(estimate: dict) -> str:
    """Format the estimate of `probe`, with what it leaves out."""
    details = [f"{estimate['seconds_per_step']:.2g} s a step, measured over {TYPICAL}"]
    if estimate["validations"]:
        details.append(f"{estimate['validations']} validations of {estimate['seconds_per_validation']:.2g} s")
    details.append("saving left out")
    expected = f"expected: {format_duration(estimate['expected_seconds'])} for {estimate['steps']} steps"
    return f"{expected} ({', '.join(details)}), {format_peak(estimate['peak_gib'])}"
