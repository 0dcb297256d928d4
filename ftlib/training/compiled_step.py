"""Compiled step: fixed shapes, decoder layers compiled once, forward and backward pass as one CUDA graph.

On a fast GPU a step of 16 examples is bound by Python, which launches some thousand small kernels one by one. Compiling
a decoder layer fuses most of them (all layers share the compiled code, so it takes seconds); a CUDA graph launches the
rest with one call. Both need fixed shapes: a step has a fixed number of packed rows, one long row where attention needs no
mask, whose mean is `train.examples_per_step` examples (see `packing.PackedSteps`). Logits are computed at labeled
positions only, and what all prompts begin with once a step (see `segment_attention`). `train.compile=true` turns it on.

Sources: regional compilation in the PyTorch recipes; torch.cuda.graph in the PyTorch notes on CUDA.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import SequentialSampler

from ftlib.config.settings import Config, ConfigError
from ftlib.generation.cuda_graph_decoder import is_plain_attention
from ftlib.models.loading import Precision
from ftlib.models.packed_attention import has_dropout, shared_tokens
from ftlib.models.segment_attention import ATTENTION, can_varlen, layer_attention, segments_of, switched
from ftlib.prompts.encoding import IGNORED
from ftlib.prompts.packing import LEAST_SHARED, Flat, PackedSteps, plan_steps, row_length_for, rows_for, to_flat
from ftlib.runtime import distributed, hardware
from ftlib.runtime.console import log
from ftlib.training import compiler, fused_lora
from ftlib.training.trainer import ExamplesTrainer

# Families whose forward pass is: decoder, then output layer, and nothing after it (no scaling or capping of logits).
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
WARM_UP = 3  # warm-up passes before the capture, as the CUDA notes require; the first one compiles
GRAPH_INPUTS = ("input_ids", "position_ids", "where", "targets", "starts", "key_starts", "keys", "places")


def can_compile(cfg: Config, precision: Precision, model) -> bool:
    """Return True if `train.compile` is on and this model and precision allow it; print why not.

    Raises ConfigError if the user set `train.compile` and it is not possible.
    """
    if not cfg.train.compile:
        return False
    family, reason = model.config.model_type, None
    if has_adapted_head(model):
        reason = "lora.target_modules has the output layer, which the compiled step multiplies without its adapter"
    elif family not in FAMILIES:
        reason = f"the compiled step supports {', '.join(FAMILIES)}, and this model is {family}"
    elif precision.fp16:
        reason = "float16 needs dynamic loss scaling, which a captured step does not support; bfloat16 is supported"
    elif hardware.cuda_capability() is not None and importlib.util.find_spec("triton") is None:
        reason = (
            "PyTorch compiles for a GPU with Triton, which is not installed (on Windows: pip install triton-windows)"
        )
    if reason is None:
        return True
    if cfg.set_by_user("train.compile"):
        raise ConfigError(f"train.compile = true: {reason}; set train.compile=false")
    log.info(f"  note: trained without train.compile: {reason}")
    return False


def has_adapted_head(model) -> bool:
    """Return True if LoRA matrices are in the output layer; `FixedStep` reads its base weight alone."""
    from peft.tuners.lora import LoraLayer

    return hasattr(model, "peft_config") and isinstance(base_of(model).get_output_embeddings(), LoraLayer)


def block_mask(position_ids: torch.Tensor, dtype: torch.dtype, shared: int = 0) -> torch.Tensor:
    """Return the additive attention mask, (rows, 1, length, length): causal within each packed example.

    shared: tokens at the start of each row that every example sees; positions of the examples begin after them.
    """
    segment_ids = (position_ids == shared).cumsum(1)  # 0 for shared tokens
    length = position_ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=position_ids.device).tril()
    keys = segment_ids[:, None, None, :]
    visible = ((segment_ids[:, None, :, None] == keys) | (keys == 0)) & causal
    return torch.zeros((), dtype=dtype, device=position_ids.device).where(visible, torch.finfo(dtype).min)


def labeled_loss(
    hidden: torch.Tensor, weight: torch.Tensor, where: torch.Tensor, targets: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Compute cross entropy summed over the labeled positions.

    hidden: (tokens, width); where, targets: (capacity,). dtype: of the product with the output layer, whose weight is
    `weight`; the rest is computed in float32.
    """
    logits = functional.linear(hidden.index_select(0, where).to(dtype), weight.to(dtype))
    return functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")


def base_of(model):
    """Return the model under an adapter, or the model itself if it has none."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


class PlainLayers:
    """transformers' own decoder with PEFT's layers, in autocast: for quantized bases and every supported family."""

    def __init__(self, model, dtype: torch.dtype | None, compiled: bool, longest: int):
        base = base_of(model)
        self.decoder, self.dtype, self.longest = base.get_decoder(), dtype, longest
        self.mask_dtype = dtype or base.get_output_embeddings().weight.dtype
        if is_plain_attention(self.decoder.config) and can_varlen(self.decoder.embed_tokens.weight.device, dtype):
            self.mask_dtype = None
        for module in model.modules():
            if hasattr(module, "cast_input_dtype_enabled"):
                # autocast casts them, without a float32 copy of every input
                module.cast_input_dtype_enabled = dtype is None
        if compiled:
            for layer in self.decoder.layers:
                layer.compile(dynamic=False)

    def __call__(self, embedded: torch.Tensor, position_ids: torch.Tensor, segments) -> torch.Tensor:
        """Return hidden states after the last norm, (rows * length, width). segments: a mask where `mask_dtype` is set."""
        switch: contextlib.AbstractContextManager = contextlib.nullcontext()
        if self.mask_dtype is None:
            attention = {"attention_mask": None, "segments": segments, "longest": self.longest, "dtype": self.dtype}
            switch = switched(self.decoder.config, ATTENTION, layer_attention)
        else:
            attention = {"attention_mask": segments}
        with (
            torch.autocast(embedded.device.type, self.dtype, enabled=self.dtype is not None, cache_enabled=False),
            switch,
        ):
            out = self.decoder(inputs_embeds=embedded, position_ids=position_ids, use_cache=False, **attention)
        return out.last_hidden_state.flatten(0, 1)


class FlatWeights:
    """All trainable weights as views of one vector, with one gradient.

    The model's weights become views of the vector, so code that reads or loads them in place still works.
    """

    def __init__(self, weights: list[torch.nn.Parameter]):
        self.weights = weights
        self.vector = torch.nn.Parameter(
            torch.empty_like(torch.cat([weight.detach().reshape(-1) for weight in weights]))
        )
        self.vector.grad = torch.zeros_like(self.vector)
        self.tie()

    def tie(self) -> None:
        """Copy the weights into the vector and make them views of it; repeated after the weights were moved."""
        views = self._parts(self.vector.detach())
        for weight, view in zip(self.weights, views, strict=True):
            if weight.data_ptr() != view.data_ptr():
                view.copy_(weight.detach())
                weight.data = view

    def _parts(self, vector: torch.Tensor) -> list[torch.Tensor]:
        pieces = vector.split([weight.numel() for weight in self.weights])
        return [piece.view(weight.shape) for piece, weight in zip(pieces, self.weights, strict=True)]

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Copy the gradients of the weights into that of the vector and drop the weights' own."""
        torch.cat([weight.grad.reshape(-1) for weight in self.weights], out=self.vector.grad)
        for weight in self.weights:
            weight.grad = None


class FixedStep:
    """Loss and gradients of one fixed-shape step; on CUDA with `graph`, captured in the first call, then replayed."""

    def __init__(
        self, model, dtype: torch.dtype | None, compiled: bool, graph: bool, join: bool = True, longest: int = 512
    ):
        """Prepare the step.

        Args:
            model: the PEFT model.
            dtype: of autocast; None for none.
            compiled: compile layers and loss.
            graph: capture a CUDA graph.
            join: use `fused_lora` where it fits.
            longest: most tokens of an example.
        """
        base = base_of(model)
        self.model, self.decoder = model, base.get_decoder()
        self.head, self.embeddings = base.get_output_embeddings(), base.get_input_embeddings()
        self.graph_wanted, self.graph = graph, None
        self.flat = FlatWeights([weight for weight in model.parameters() if weight.requires_grad])
        if join and fused_lora.fits(model, dtype):
            self.layers = fused_lora.FusedLayers(model, compiled, longest)
        else:
            self.layers = PlainLayers(model, dtype, compiled, longest)
        self.dtype = dtype or self.head.weight.dtype
        if compiled:
            compiler.keep_traced_functions()
        self.loss_function = torch.compile(labeled_loss, dynamic=False) if compiled else labeled_loss

    def loss(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        """Compute the nats over the labeled tokens of the batch, divided by `count`."""
        # with (unused) gradients of the embeddings the first layer compiles like the others: one compilation less
        embedded = self.embeddings(batch["input_ids"]).requires_grad_()
        if (mask_dtype := self.layers.mask_dtype) is None:
            segments = segments_of(batch)
        else:
            shared = batch["position_ids"].numel() - batch["places"].numel() if "places" in batch else 0
            segments = block_mask(batch["position_ids"], mask_dtype, shared)
        hidden = self.layers(embedded, batch["position_ids"], segments)
        return self.loss_function(hidden, self.head.weight, batch["where"], batch["targets"], self.dtype) / count

    def __call__(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        """Return the loss, detached; its gradient is in `flat.vector.grad`."""
        if not self.graph_wanted:
            return self._compute(batch, count)
        if self.graph is None:
            self._record(batch, count)
        for name, recorded in self.inputs.items():
            recorded.copy_(batch[name], non_blocking=True)
        self.count.copy_(count, non_blocking=True)
        self.graph.replay()
        return self.recorded_loss.clone()

    def _compute(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        loss = self.loss(batch, count)
        loss.backward()
        self.flat.take_gradients()
        return loss.detach()

    def _record(self, batch: dict[str, torch.Tensor], count: torch.Tensor) -> None:
        self.inputs = {name: batch[name].clone() for name in GRAPH_INPUTS if name in batch}
        self.count = count.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._compute(self.inputs, self.count)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.recorded_loss = self._compute(self.inputs, self.count)
        compiler.end_workers()


@contextlib.contextmanager
def eager(layers) -> Iterator[None]:
    """Run layers uncompiled, for other shapes: each new shape would compile again."""
    compiled = {layer: layer._compiled_call_impl for layer in layers}
    for layer in compiled:
        layer._compiled_call_impl = None
    try:
        yield
    finally:
        for layer, call in compiled.items():
            layer._compiled_call_impl = call


class FixedTrainer(ExamplesTrainer):
    """The Trainer with the compiled step; its data set is a `PackedSteps`, taken in order.

    The step clips the gradient (`max_norm`) instead of the Trainer, which would iterate over all modules to find the
    weights.
    """

    def __init__(self, *args, step_function: FixedStep, max_norm: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.step_function, self.max_norm, self.norm = step_function, max_norm, None
        # No DistributedDataParallel: gradients are summed below, and its hooks run on another stream, which breaks the capture
        self.accelerator.prepare_model = functools.partial(self.accelerator.prepare_model, evaluation_mode=True)
        self.model.zero_grad = lambda *_, **__: None  # nothing to do: every step overwrites its gradient

    def count_tokens(self, inputs) -> None:
        """Add an item's tokens and slots; shared tokens count for each example, though they are computed once."""
        super().count_tokens(inputs)
        if shared := self.train_dataset.shared:
            starts = (inputs["owners"] >= 0) & (inputs["position_ids"] == shared)
            self.counted += shared * starts.sum()
            self.spared = self.spared + shared * (starts.sum() - 1)

    def example_indices(self, step):
        """Return the positions of the rows in a step's items, each of which is a process's share of the step."""
        rows = [row for batch in step for item in batch for row in self.train_dataset.share(item)]
        return [example_idx for row in rows for example_idx in row]

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def create_optimizer(self, *_):
        """Create the optimizer over the flat vector."""
        if self.optimizer is None:
            kind, arguments = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            flat = [self.step_function.flat.vector]
            self.optimizer = kind(flat, weight_decay=self.args.weight_decay, **arguments)
        return self.optimizer

    def training_step(self, model, inputs, num_items_in_batch=None):
        """Compute the loss and the gradient of one step, summed over processes, and clip it."""
        if self.norm is None:
            self.step_function.flat.tie()  # with several CPU processes accelerate moves the model to "cpu:0", which copies it
            if distributed.world() > 1:
                torch.distributed.broadcast(self.step_function.flat.vector.detach(), src=0)
        if not model.training:
            model.train()
        inputs = self._prepare_inputs(inputs)
        self.count_tokens(inputs)
        loss, vector = self.step_function(inputs, num_items_in_batch), self.step_function.flat.vector
        if distributed.world() > 1:
            torch.distributed.all_reduce(vector.grad)
        self.norm = torch.nn.utils.clip_grad_norm_([vector], self.max_norm or math.inf)
        # the Trainer logs the mean over processes, but each process holds its part of the sum
        return loss * distributed.world()

    def _get_grad_norm(self, *_, **__):
        """Return the norm before clipping, which the Trainer logs; it would compute it again, from every weight."""
        return self.norm

    def score(self, examples):
        """Compute likelihoods with uncompiled layers."""
        with eager(self.step_function.decoder.layers):
            return super().score(examples)

    @contextlib.contextmanager
    def generating(self):
        """Yield the model as `ExamplesTrainer.generating` does, with uncompiled layers."""
        with eager(self.step_function.decoder.layers), super().generating() as model:
            yield model

    def floating_point_ops(self, inputs) -> int:
        """Return 0: counting would iterate over all weights in every step."""
        return 0


def only(items: list):
    """Return the only item: the collator for items that are complete batches."""
    return items[0]


def step_plan(cfg: Config, lengths: list[int], rows: int, row_length: int | None = None) -> list[list[list[int]]]:
    """Plan steps of `rows` rows for `train.max_steps` or `train.epochs`; every epoch has its own order, drawn from the seed.

    row_length: `train.row_length` without.
    """
    t, order, row_length = cfg.train, list[int](), row_length or cfg.train.row_length
    generator = torch.Generator().manual_seed(t.seed)

    def more(count: int) -> None:
        order.extend(torch.randperm(len(lengths), generator=generator)[:count].tolist())

    if not t.max_steps:
        remaining = round(t.epochs * len(lengths))
        while remaining > 0:
            more(remaining)
            remaining -= len(lengths)
        return plan_steps(lengths, order, rows, row_length)
    steps: list = []
    while len(steps) <= t.max_steps:  # the last step of a plan may be incomplete
        more(len(lengths))
        steps = plan_steps(lengths, order, rows, row_length)
    return steps[: t.max_steps]


def shared_beginning(model, examples: Flat) -> int:
    """Return the tokens with which all examples begin, where computing them once is the same training and saves time."""
    if has_dropout(model):
        return 0
    position = np.arange(len(examples.ids)) - np.repeat(examples.starts[:-1], examples.lengths)
    unlabeled = np.where(examples.labels == IGNORED, examples.lengths.max(), position)
    before_labels = np.minimum(np.minimum.reduceat(unlabeled, examples.starts[:-1]), examples.lengths)
    first = [row.tolist() for row in examples.ids[examples.starts[:-1, None] + np.arange(before_labels.min())]]
    shared = shared_tokens(first, before_labels.tolist())
    return shared if shared >= LEAST_SHARED else 0


def fixed_parts(cfg: Config, precision: Precision, model, examples: list, pad_id: int) -> dict:
    """Return the arguments of `FixedTrainer` beyond the Trainer's: data set, collator and step."""
    flat, processes, longest = to_flat(examples), distributed.world(), cfg.train.row_length
    dtype = torch.bfloat16 if precision.bf16 else None
    on_gpu = hardware.cuda_capability() is not None
    step = FixedStep(model, dtype, on_gpu, on_gpu, longest=longest)
    per_step, row_length, shared = cfg.train.examples_per_step, longest, 0
    if step.layers.mask_dtype is None:  # attention of any segments: one long row has less padding than many short ones
        shared = shared_beginning(model, flat)
        lengths = (flat.lengths - shared).tolist()
        rows, row_length = processes, row_length_for(lengths, per_step / processes, shared)
    else:
        lengths = flat.lengths.tolist()
        rows = math.ceil(rows_for(lengths, per_step, row_length) / processes) * processes
    steps = step_plan(cfg, lengths, rows, row_length)
    return {
        "train_dataset": PackedSteps(flat, steps, row_length, pad_id, processes, shared, longest),
        "data_collator": only,
        "step_function": step,
        "max_norm": cfg.train.max_grad_norm,
    }
