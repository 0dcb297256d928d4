"""The fast step: shapes that never change, layers compiled once, and the whole forward and backward pass as one CUDA graph.

Why: on a fast GPU a step of 16 examples waits for Python, which starts some thousand small kernels one by one. Compiling a
decoder layer fuses most of them (all layers share the compiled code, so it takes seconds and not minutes); recording the pass as
a CUDA graph starts the rest with one call. Both need fixed shapes: a step has a fixed number of packed rows whose mean is
`train.examples_per_step` examples (see `batching.PackedSteps`). Logits are computed at labelled positions only.
How: `train.compile=true`; `FixedTrainer` is the Trainer with this step. Sources: regional compilation in the PyTorch recipes;
torch.cuda.graph in the PyTorch notes on CUDA.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch.nn import functional
from torch.utils.data import SequentialSampler

from ftlib import hardware, ranks
from ftlib.batching import PackedSteps, plan_steps, rows_for
from ftlib.config import Config, ConfigError
from ftlib.models import Precision
from ftlib.prompts import IGNORED
from ftlib.trainer import ExamplesTrainer

# Families whose forward pass is: decoder, then output layer, and nothing after it (no scaling or capping of logits).
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
WARM_UP = 3  # passes before recording, as the CUDA notes ask for; the first one compiles
GRAPH_INPUTS = ("input_ids", "position_ids", "where", "targets")


def can_compile(cfg: Config, chosen: Precision, model) -> bool:
    """True if `train.compile` is on and this model and precision allow it; a profile's wish is dropped with a line.

    Raises ConfigError if the user asked for what cannot be.
    """
    if not cfg.train.compile:
        return False
    family, against = model.config.model_type, None
    if family not in FAMILIES:
        against = f"the fast step knows {', '.join(FAMILIES)}, and this model is {family}"
    elif chosen.fp16:
        against = "float16 needs its losses scaled from step to step, which a recorded step cannot; bfloat16 would do"
    if against is None:
        return True
    if cfg.set_by_user("train.compile"):
        raise ConfigError(f"train.compile = true: {against}; leave it off")
    print(f"  note: trained without train.compile: {against}", flush=True)
    return False


def block_mask(position_ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask of shape (rows, 1, length, length): a token sees what came before it in its own part."""
    part = (position_ids == 0).cumsum(1)
    length = position_ids.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=position_ids.device).tril()
    seen = (part[:, None, :, None] == part[:, None, None, :]) & before
    return torch.zeros((), dtype=dtype, device=position_ids.device).where(seen, torch.finfo(dtype).min)


def labelled_loss(
    hidden: torch.Tensor, weight: torch.Tensor, where: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Cross entropy summed over the labelled positions. hidden: (rows, length, width); where, targets: (capacity,)."""
    logits = functional.linear(hidden.flatten(0, 1).index_select(0, where), weight)
    return functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")


class FixedStep:
    """Loss and gradients of one fixed-shape step. On CUDA with `graph`, recorded at the first call and replayed after."""

    def __init__(self, model, dtype: torch.dtype | None, compiled: bool, graph: bool):
        """model: the PEFT model. dtype: of autocast; None for none. compiled: compile layers and loss."""
        base = model.get_base_model()
        self.decoder, self.head = base.get_decoder(), base.get_output_embeddings()
        self.embeddings = base.get_input_embeddings()
        self.dtype, self.graph_wanted, self.graph = dtype, graph, None
        self.trainable = [weight for weight in model.parameters() if weight.requires_grad]
        self.loss_function = labelled_loss
        for module in model.modules():
            if hasattr(module, "cast_input_dtype_enabled"):
                module.cast_input_dtype_enabled = (
                    dtype is None
                )  # autocast does it, without a float32 copy of every input
        if compiled:
            for layer in self.decoder.layers:
                layer.compile(dynamic=False)
            self.loss_function = torch.compile(labelled_loss, dynamic=False)

    def loss(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        """Nats over the labelled tokens of the batch, divided by `count`."""
        device = batch["input_ids"].device.type
        enabled = self.dtype is not None
        with torch.autocast(device, self.dtype, enabled=enabled, cache_enabled=False):
            mask = block_mask(batch["position_ids"], self.dtype or self.head.weight.dtype)
            # gradients asked for here, which nobody needs, make the first layer like the others: one compilation less
            embedded = self.embeddings(batch["input_ids"]).requires_grad_()
            out = self.decoder(
                inputs_embeds=embedded, position_ids=batch["position_ids"], attention_mask=mask, use_cache=False
            )
            total = self.loss_function(out.last_hidden_state, self.head.weight, batch["where"], batch["targets"])
        return total / count

    def __call__(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        """The loss, detached; gradients lie in the trainable weights afterwards."""
        if not self.graph_wanted:
            loss = self.loss(batch, count)
            loss.backward()
            return loss.detach()
        if self.graph is None:
            self._record(batch, count)
        for name in GRAPH_INPUTS:
            self.inputs[name].copy_(batch[name], non_blocking=True)
        self.count.copy_(count, non_blocking=True)
        self.graph.replay()
        for weight, gradient in zip(self.trainable, self.gradients, strict=True):
            weight.grad = (
                gradient  # the Trainer takes them away after each step; the graph writes to the same place again
            )
        return self.recorded_loss.clone()

    def _record(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> None:
        self.inputs = {name: batch[name].clone() for name in GRAPH_INPUTS}
        self.count = count.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self.loss(self.inputs, self.count).backward()
                self._drop_gradients()
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.recorded_loss = self.loss(self.inputs, self.count)
            self.recorded_loss.backward()
        self.recorded_loss = self.recorded_loss.detach()
        self.gradients = [weight.grad for weight in self.trainable]

    @contextlib.contextmanager
    def eager(self) -> Iterator[None]:
        """Uncompiled layers, for passes in other shapes: each new shape would compile again."""
        compiled = {layer: layer._compiled_call_impl for layer in self.decoder.layers}
        for layer in compiled:
            layer._compiled_call_impl = None
        try:
            yield
        finally:
            for layer, call in compiled.items():
                layer._compiled_call_impl = call

    def _drop_gradients(self) -> None:
        for weight in self.trainable:
            weight.grad = None


class FixedTrainer(ExamplesTrainer):
    """The Trainer with the fast step; its data set is a `PackedSteps`, taken in its order."""

    def __init__(self, *args, step_function: FixedStep, **kwargs):
        super().__init__(*args, **kwargs)
        self.step_function = step_function

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        inputs = self._prepare_inputs(inputs)
        self.count_tokens(inputs)
        loss = self.step_function(inputs, num_items_in_batch)
        if ranks.world() > 1:
            self._add_gradients()
        return (
            loss * ranks.world()
        )  # the Trainer logs the mean over processes, and each of them has its part of the sum

    def _add_gradients(self) -> None:
        """Gradients summed over all processes, in one message; the step goes past the wrapper that would do it."""
        gradients = [weight.grad for weight in self.step_function.trainable]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def evaluate(self, *args, **kwargs):
        with self.step_function.eager():
            return super().evaluate(*args, **kwargs)

    def floating_point_ops(self, inputs) -> int:
        """Not counted: the Trainer would walk over all weights in every step."""
        return 0


def only(items: list):
    """The collator of items that are whole batches already."""
    return items[0]


def step_plan(cfg: Config, lengths: list[int], rows: int) -> list[list[list[int]]]:
    """Steps of `rows` rows for `train.max_steps` or `train.epochs`; every epoch has an order of its own, drawn from the seed."""
    t, order = cfg.train, []
    generator = torch.Generator().manual_seed(t.seed)

    def more(count: int) -> None:
        order.extend(torch.randperm(len(lengths), generator=generator)[:count].tolist())

    if not t.max_steps:
        left = round(t.epochs * len(lengths))
        while left > 0:
            more(left)
            left -= len(lengths)
        return plan_steps(lengths, order, rows, t.max_length)
    steps: list = []
    while len(steps) <= t.max_steps:  # the last step of a plan may not be full
        more(len(lengths))
        steps = plan_steps(lengths, order, rows, t.max_length)
    return steps[: t.max_steps]


def fixed_parts(cfg: Config, chosen: Precision, model, examples: list, pad_id: int) -> dict:
    """What `FixedTrainer` needs beyond the Trainer's arguments: data set, collator and step."""
    lengths = [len(example["input_ids"]) for example in examples]
    parts = ranks.world()
    rows = math.ceil(rows_for(lengths, cfg.train.examples_per_step, cfg.train.max_length) / parts) * parts
    dtype = torch.bfloat16 if chosen.bf16 else None
    on_gpu = hardware.cuda_capability() is not None
    return {
        "train_dataset": PackedSteps(examples, step_plan(cfg, lengths, rows), cfg.train.max_length, pad_id, parts),
        "data_collator": only,
        "step_function": FixedStep(model, dtype, compiled=on_gpu, graph=on_gpu),
    }
