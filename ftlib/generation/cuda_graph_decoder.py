"""Decode on a GPU with one CUDA graph per step and continuous batching (Yu et al. 2022).

A decoding step of a small model takes a millisecond of arithmetic and tens of milliseconds of Python, and in a static batch the
finished rows idle until the longest completion ends. Here a step has fixed shapes and is replayed with one call, tokens are
copied to the host only every `chunk` steps, and a finished slot takes the next prompt. All slots write their keys and values to
the same column of a ring buffer, and a mask marks the columns that belong to a slot, so a new prompt can be inserted at any
time. Rotary embeddings are already applied to the keys, so their order in the ring does not matter. `generation.batched` uses
this decoder where `is_supported(model, generation)`, and `transformers.generate` elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import Lock

import torch
from torch.nn import functional

from ftlib.generation import fused_layers, ring_attention
from ftlib.generation.caches import PrefillCache, RingCache
from ftlib.generation.sampling import narrow, sampled_from

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")  # full attention with rotary embeddings
ATTENTION = "ftlib_ring"  # the name of `grouped_attention` in transformers' registry
CHUNK = 16  # steps between copies of the tokens to the host; a finished slot idles for half of them on average
PREFILL_TOKENS = 65_536  # prompt tokens per prefill
WARM_UP = 2  # steps before the capture, as the PyTorch notes on CUDA graphs require


def is_supported(model, generation) -> bool:
    """Return whether `Decoder` supports the model and the settings.

    It needs a model of MODEL_TYPES on a GPU, in 16 or 32 bits, without an adapter; it has no beam search.
    """
    if generation.beams > 1:
        return False
    plain = not getattr(model, "is_quantized", False) and not hasattr(model, "peft_config")
    return plain and next(model.parameters()).is_cuda and is_plain_attention(model.config)


def is_plain_attention(config) -> bool:
    """Return whether a model of this configuration is one of MODEL_TYPES and attends to all tokens, without a window."""
    sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return config.model_type in MODEL_TYPES and sliding is None


def grouped_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """Compute grouped-query attention for one new token per slot.

    The query heads that share a key head become the query positions of that head, so keys are not repeated.

    Args:
        module: the attention layer; not used.
        query: (slots, heads, 1, size).
        key: (slots, key heads, length, size).
        value: (slots, key heads, length, size).
        attention_mask: (slots, 1, 1, length), additive.
        scaling: of the scores.
        **_: other arguments of transformers' attention interface.

    Returns:
        The output, (slots, 1, heads, size), and None for the attention weights.
    """
    grouped = query.reshape(query.shape[0], key.shape[1], -1, query.shape[-1])
    if ring_attention.is_worthwhile(grouped, key):
        out = ring_attention.attend(grouped, key, value, attention_mask, scaling)
        return out.reshape(query.shape[0], 1, query.shape[1], query.shape[3]), None
    out = functional.scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return out.reshape(query.shape[0], 1, query.shape[1], query.shape[3]), None


class Decoder:
    """Decoder with a fixed number of slots: greedy, or sampling with temperature, top_p and min_p.

    As in transformers, the repetition penalty and the blocking of repeated n-grams include the prompt; padding never counts.
    With `penalize_prompt` off both start with the completion.
    `length_decay` is transformers' `exponential_decay_length_penalty`: the logit of each end token increases by its absolute
    value times (f ** (tokens beyond n) - 1).
    """

    def __init__(
        self, model, generation, ends: list[int], slots: int, longest: int, chunk: int = CHUNK, graph: bool = True
    ):
        """Allocate the state of all slots.

        Args:
            model: a causal language model, see `is_supported`.
            generation: `cfg.generation`.
            ends: ids that end a completion.
            slots: completions that are decoded at the same time.
            longest: tokens of the longest prompt.
            chunk: steps between copies of the tokens to the host.
            graph: capture the step as a CUDA graph, if the model is on a GPU.
        """
        from transformers import AttentionInterface

        AttentionInterface.register(ATTENTION, grouped_attention)
        self.model, self.generation, self.ends = model, generation, set(ends)
        self.slots, self.chunk, self.graph = slots, chunk, None
        needed = longest + generation.max_new_tokens + chunk
        self.length = -(-needed // 64) * 64  # columns of the ring, a multiple of the kernels' tile size
        device = next(model.parameters()).device
        self.graph_wanted = graph and device.type == "cuda"
        self.device, self.low = device, torch.finfo(model.dtype).min
        self.tokens, self.positions = (torch.zeros(slots, dtype=torch.long, device=device) for _ in range(2))
        self.mask = torch.full((slots, 1, 1, self.length), self.low, dtype=model.dtype, device=device)
        self.written = torch.zeros(chunk, slots, dtype=torch.long, device=device)  # the chunk's tokens
        self.tick = torch.zeros(1, dtype=torch.long, device=device)  # step within the chunk
        self.seen = None  # (slots, vocabulary): tokens of prompt and completion, for the repetition penalty
        if generation.repetition_penalty != 1.0:
            self.seen = torch.zeros(slots, model.config.vocab_size, dtype=torch.bool, device=device)
        self.history = None  # (slots, length): tokens by position, to block repeated n-grams; -1: none
        if generation.no_repeat_ngram:
            self.history = torch.full((slots, self.length), -1, dtype=torch.long, device=device)
        self.prompt_lengths = torch.zeros(slots, dtype=torch.long, device=device)  # of each slot, in tokens
        self.end_ids = torch.tensor(sorted(self.ends), dtype=torch.long, device=device)
        self.ring, self.lock = None, Lock()
        self.fused = fused_layers.fused_layers(model) if self.graph_wanted and fused_layers.fits(model) else None
        self.narrowed = torch.compile(narrow, dynamic=False) if self.graph_wanted and generation.do_sample else None

    @torch.no_grad()
    def run(self, encoded: list[list[int]], on_done: Callable[[dict[int, list[int]]], None]) -> None:
        """Generate a completion for each prompt, longest prompts first.

        Args:
            encoded: ids of each prompt.
            on_done: called with {prompt index: generated ids, including the end token if any} after each chunk with finished
                completions.
        """
        waiting = deque(sorted(range(len(encoded)), key=lambda i: (-len(encoded[i]), i)))
        active: dict[int, int] = {}  # {slot: prompt index}
        generated: dict[int, list[int]] = {}  # {prompt index: ids}
        while waiting or active:
            free = [slot for slot in range(self.slots) if slot not in active]
            worthwhile = (
                not active or len(free) * 8 >= self.slots
            )  # a prefill of few prompts takes as long as one of many
            if waiting and worthwhile:
                for group in self._groups(waiting, free, encoded):
                    self._admit(list(group), [encoded[index] for index in group.values()])
                    active |= group
                    generated |= {index: [] for index in group.values()}
            for _ in range(self.chunk):
                self._step()
            done = {}
            tokens_of_slot = self.written.t().tolist()  # (slots, chunk); the only synchronization with the GPU
            for slot, index in list(active.items()):
                if self._extend(generated[index], tokens_of_slot[slot]):
                    done[index] = generated.pop(index)
                    del active[slot]
            if done:
                on_done(done)

    @torch.no_grad()
    def stream(self, prompt: list[int]) -> Iterator[int]:
        """Yield the generated ids for one prompt, without the end token; needs one slot and chunk 1."""
        self._admit([0], [prompt])
        for _ in range(self.generation.max_new_tokens):
            self._step()
            token = int(self.written[0, 0])
            if token in self.ends:
                return
            yield token

    def _groups(self, waiting: deque, free: list[int], encoded: list[list[int]]) -> Iterator[dict[int, int]]:
        """Yield {slot: prompt index} for the next prompts, with at most PREFILL_TOKENS tokens of distinct prompts per group."""
        while waiting and free:
            room, distinct, group = max(1, PREFILL_TOKENS // len(encoded[waiting[0]])), set(), {}
            while waiting and free and len(distinct | {prompt := tuple(encoded[waiting[0]])}) <= room:
                distinct.add(prompt)
                group[free.pop()] = waiting.popleft()
            yield group

    def _extend(self, ids: list[int], new: list[int]) -> bool:
        """Append tokens up to the end of the completion; return True if it is complete."""
        for token in new:
            ids.append(token)
            if token in self.ends or len(ids) == self.generation.max_new_tokens:
                return True
        return False

    def _admit(self, slots: list[int], prompts: list[list[int]]) -> None:
        """Prefill prompts into slots and choose their first tokens.

        Their keys and values are written to the columns of the ring before the cursor. A prompt that is there several times, for
        several samples, is read once.
        """
        where = torch.tensor(slots, device=self.device)
        place: dict[tuple[int, ...], int] = {}  # {prompt: row among the distinct ones}
        copies = torch.tensor([place.setdefault(tuple(ids), len(place)) for ids in prompts], device=self.device)
        ids, real = self._left_padded(list(place))  # both (distinct prompts, longest)
        longest = ids.shape[1]
        positions = (real.cumsum(1) - 1).clamp(min=0)  # padding has position 0, and no token attends to it
        cache = PrefillCache()
        logits = self.model(
            input_ids=ids, attention_mask=self._causal_mask(real), position_ids=positions,
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[copies, -1]  # (prompts, vocabulary)  # fmt: skip
        if self.ring is None:
            self._prepare(cache.layers)
        columns = (self.ring.cursor - longest + torch.arange(longest, device=self.device)) % self.length
        for ring_layer, new_layer in zip(self.ring.layers, cache.layers, strict=True):
            for ring_values, new_values in zip(ring_layer, new_layer, strict=True):
                ring_values[where[:, None], :, columns[None, :]] = new_values[copies].transpose(1, 2)
        ids, real, positions = ids[copies], real[copies], positions[copies]
        row_mask = torch.full((len(slots), self.length), self.low, dtype=self.model.dtype, device=self.device)
        row_mask[:, columns] = self._additive(real)
        self.mask[where, 0, 0] = row_mask
        self.positions[where] = self.prompt_lengths[where] = real.sum(1)
        self._record_prompt(where, ids, real, positions)
        self.tokens[where] = self._choose(logits, where)

    def _left_padded(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the ids padded on the left and the mask of real tokens, each (prompts, longest)."""
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        real = torch.zeros(len(prompts), longest, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            real[row, longest - len(prompt) :] = True
        return ids.to(self.device), real.to(self.device)

    def _additive(self, visible: torch.Tensor) -> torch.Tensor:
        """Convert a boolean mask to an additive one: 0 where visible, else the dtype's minimum."""
        zero, low = (torch.tensor(value, dtype=self.model.dtype, device=self.device) for value in (0.0, self.low))
        return torch.where(visible, zero, low)

    def _causal_mask(self, real: torch.Tensor) -> torch.Tensor:
        """Build the causal mask of padded prompts, (prompts, 1, longest, longest).

        Padding attends only to itself, because a row without any visible column has no softmax.
        """
        longest = real.shape[1]
        causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
        return self._additive(
            real[:, None, None, :] & causal | torch.eye(longest, dtype=torch.bool, device=self.device)
        )

    def _record_prompt(
        self, where: torch.Tensor, ids: torch.Tensor, real: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Record the prompts' tokens for the repetition penalty and the blocking of repeated n-grams."""
        if self.seen is not None:
            tokens = torch.where(real, ids, ids[:, -1:])  # replaces padding by the prompt's last token
            self.seen[where] = torch.zeros_like(self.seen[where]).scatter_(1, tokens, self.generation.penalize_prompt)
        if self.history is not None:
            rows = torch.full((len(ids), self.length), -1, dtype=torch.long, device=self.device)
            counted = real if self.generation.penalize_prompt else torch.zeros_like(real)
            rows.scatter_(1, torch.where(real, positions, self.length - 1), torch.where(counted, ids, -1))
            self.history[where] = rows

    def _prepare(self, like: list) -> None:
        """Allocate the ring with the shapes of `like`, and capture the step as a CUDA graph."""
        self.ring = RingCache(like, self.slots, self.length)
        if not self.graph_wanted:
            return
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP):
                self._compute()
        torch.cuda.current_stream().wait_stream(side_stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._compute()
        for state in (self.ring.cursor, self.tick):
            state.zero_()

    def _step(self) -> None:
        if self.graph is None:
            self._compute()
        else:
            self.graph.replay()

    def _compute(self) -> None:
        """Feed one token per slot to the model and choose the next; all state stays on the device."""
        self.written.index_copy_(0, self.tick, self.tokens[None])
        self.mask.index_fill_(3, self.ring.cursor, 0.0)
        if self.seen is not None:
            self.seen.scatter_(1, self.tokens[:, None], True)
        logits = self._logits()
        if self.history is not None:
            positions = self.positions.clamp(max=self.length - 1)  # those of an idle slot grow without bound
            self.history.scatter_(1, positions[:, None], self.tokens[:, None])
        self.positions.add_(1)
        self.tokens.copy_(self._choose(logits, slice(None), self.narrowed))
        self.ring.cursor.add_(1).remainder_(self.length)
        self.tick.add_(1).remainder_(self.chunk)

    def _logits(self) -> torch.Tensor:
        """Return the logits after the slots' current tokens, (slots, vocabulary), and write their keys and values."""
        if self.fused:
            return self.fused(self.tokens, self.positions, self.ring, self.mask)
        original, self.model.config._attn_implementation = self.model.config._attn_implementation, ATTENTION
        try:
            return self.model(
                input_ids=self.tokens[:, None], attention_mask=self.mask, position_ids=self.positions[:, None],
                past_key_values=self.ring, use_cache=True,
            ).logits[:, -1]  # fmt: skip
        finally:
            self.model.config._attn_implementation = original

    def _choose(self, logits: torch.Tensor, rows, narrowed: Callable | None = None) -> torch.Tensor:
        """Choose the next token of some slots.

        Args:
            logits: (slots, vocabulary).
            rows: index of these slots into the state tensors.
            narrowed: see `sampled_from`.

        Returns:
            Token ids, (slots,).
        """
        logits, penalty = logits.float(), self.generation.repetition_penalty
        if self.seen is not None:
            penalized = torch.where(logits > 0, logits / penalty, logits * penalty)
            logits = torch.where(self.seen[rows], penalized, logits)
        if self.history is not None:
            logits = self._block_repeated_ngrams(logits, self.history[rows], self.positions[rows])
        if self.generation.length_decay:
            logits = self._apply_length_penalty(logits, self.positions[rows] - self.prompt_lengths[rows])
        if not self.generation.do_sample:
            return logits.argmax(-1)
        return torch.multinomial(sampled_from(logits, self.generation, narrowed), 1)[:, 0]

    def _apply_length_penalty(self, logits: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        """Raise the logits of the end tokens (exponential length penalty).

        Args:
            logits: (rows, vocabulary).
            written: generated tokens of each row so far, (rows,).
        """
        start, factor = self.generation.length_decay
        growth = torch.pow(factor, (written - start).clamp(min=0).float()) - 1
        ends = logits.index_select(1, self.end_ids)
        return logits.index_copy(1, self.end_ids, ends + ends.abs() * growth[:, None])

    def _block_repeated_ngrams(self, logits: torch.Tensor, history: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Set the logit of each token that would complete an n-gram of the history to -inf.

        Args:
            logits: (rows, vocabulary).
            history: tokens by position, -1 where there is none, (rows, length).
            count: tokens of each row, (rows,).
        """
        n = self.generation.no_repeat_ngram
        windows = history.unfold(1, n, 1)  # (rows, length - n + 1, n)
        last = history.gather(
            1, (count[:, None] + torch.arange(1 - n, 0, device=self.device)).clamp(min=0)
        )  # (rows, n - 1)
        repeats = (windows[..., :-1] == last[:, None]).all(-1) & (windows[..., -1] >= 0)  # (rows, length - n + 1)
        # windows that do not match block an extra column beyond the vocabulary
        tokens = torch.where(repeats, windows[..., -1], logits.shape[-1])
        padded = functional.pad(logits, (0, 1))
        return padded.scatter(1, tokens, float("-inf"))[:, :-1]
