"""The fast decode for a GPU: one CUDA graph a step, and a slot that is done takes the next prompt at once.

Why: a decode step of a small model needs a millisecond of arithmetic and tens of milliseconds of Python, and a batch that waits
for its longest answer computes nothing of use for the others. Here a step has fixed shapes and is replayed with one call, Python
looks at the tokens only every `chunk` steps, and slots are filled again as they come free (continuous batching, Yu et al. 2022).
All slots write their keys and values at the same place of a ring; a mask says which places are a slot's own, so that a new prompt
can be put in at any time. Rotary embeddings are in the keys already, so their order in the ring does not matter.
How: `generation.answer_prompts` and `stream_answer` use it where `is_supported(model, generation)`;
elsewhere `transformers.generate`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock

import torch
from torch.nn import functional

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")  # full attention with rotary embeddings and nothing else
ATTENTION = "ftlib_ring"  # the name under which transformers finds `grouped_attention`
CHUNK = 16  # steps between two looks at the tokens: a finished slot idles for half of them on average
PREFILL_TOKENS = 65_536  # of prompts that are read at once
WARM_UP = 2  # steps before recording, as the PyTorch notes on CUDA graphs ask for


def is_supported(model, generation) -> bool:
    """True if `Decoder` does it: no beams, a model on a GPU in 16 or 32 bits, of a family that it knows."""
    if generation.beams > 1:
        return False
    config = model.config
    sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    plain = not getattr(model, "is_quantized", False) and not hasattr(model, "peft_config")
    return plain and next(model.parameters()).is_cuda and config.model_type in MODEL_TYPES and sliding is None


def grouped_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """Attention of one new token a slot: query heads that share a key head stand as its queries, so no key is copied.

    query: (slots, heads, 1, size); key, value: (slots, key heads, length, size); attention_mask: (slots, 1, 1, length), additive.
    """
    grouped = query.reshape(query.shape[0], key.shape[1], -1, query.shape[-1])
    out = functional.scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return out.reshape(query.shape[0], 1, query.shape[1], query.shape[3]), None


class _Collected:
    """What the layers of one pass over prompts hand to their cache: (keys, values) a layer."""

    def __init__(self):
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def get_seq_length(self, *_):
        return 0

    def update(self, keys, values, *_, **__):
        self.layers.append((keys, values))
        return keys, values


class _Ring:
    """Keys and values of all slots, (slots, key heads, length, size) a layer; new ones go to `place` in every slot."""

    def __init__(self, like: list[tuple[torch.Tensor, torch.Tensor]], slots: int, length: int):
        self.layers = [
            tuple(x.new_zeros(slots, x.shape[1], length, x.shape[3]) for x in (keys, values)) for keys, values in like
        ]
        self.place = torch.zeros(1, dtype=torch.long, device=like[0][0].device)

    def get_seq_length(self, *_):
        return 0

    def update(self, keys, values, layer: int, *_, **__):
        for kept, new in zip(self.layers[layer], (keys, values), strict=True):
            kept.index_copy_(2, self.place, new)
        return self.layers[layer]


class Decoder:
    """Decodes with a fixed number of slots: greedy, or sampled with temperature, top_p and min_p.

    Repetition penalty and forbidden n-grams count the prompt in, as in transformers, but never its padding. `length_decay` is its
    `exponential_decay_length_penalty`: the logit of each end token grows by its size times (f ** tokens beyond n) - 1.
    """

    def __init__(
        self, model, generation, ends: list[int], slots: int, longest: int, chunk: int = CHUNK, graph: bool = True
    ):
        """generation: a `GenerationConfig` of ftlib. ends: ids that end an answer. longest: tokens of the longest prompt."""
        from transformers import AttentionInterface

        AttentionInterface.register(ATTENTION, grouped_attention)
        self.model, self.generation, self.ends = model, generation, set(ends)
        self.slots, self.chunk, self.graph = slots, chunk, None
        needed = longest + generation.max_new_tokens + chunk
        self.length = -(-needed // 64) * 64  # full tiles
        device = next(model.parameters()).device
        self.graph_wanted = graph and device.type == "cuda"
        self.device, self.low = device, torch.finfo(model.dtype).min
        self.tokens, self.positions = (torch.zeros(slots, dtype=torch.long, device=device) for _ in range(2))
        self.mask = torch.full((slots, 1, 1, self.length), self.low, dtype=model.dtype, device=device)
        self.written = torch.zeros(chunk, slots, dtype=torch.long, device=device)
        self.tick = torch.zeros(1, dtype=torch.long, device=device)
        self.seen = None  # (slots, vocabulary): tokens of prompt and answer, for the repetition penalty
        if generation.repetition_penalty != 1.0:
            self.seen = torch.zeros(slots, model.config.vocab_size, dtype=torch.bool, device=device)
        self.history = None  # (slots, length): tokens by their position, for n-grams that may not come twice; -1: none
        if generation.no_repeat_ngram:
            self.history = torch.full((slots, self.length), -1, dtype=torch.long, device=device)
        self.begun = torch.zeros(slots, dtype=torch.long, device=device)  # tokens of each slot's prompt
        self.end_ids = torch.tensor(sorted(self.ends), device=device)
        self.ring, self.warpers, self.lock = None, [], Lock()
        if generation.do_sample:
            from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

            self.warpers = [TemperatureLogitsWarper(generation.temperature), TopPLogitsWarper(generation.top_p)]
            if generation.min_p:
                self.warpers.append(MinPLogitsWarper(generation.min_p))

    @torch.no_grad()
    def run(self, encoded: list[list[int]], on_done: Callable[[dict[int, list[int]]], None]) -> None:
        """Answer prompts given as ids; on_done({position: ids, with the end token if there is one}) as they are finished."""
        waiting = deque(sorted(range(len(encoded)), key=lambda i: (-len(encoded[i]), i)))
        at_slot: dict[int, int] = {}
        ids: dict[int, list[int]] = {}
        while waiting or at_slot:
            free = [slot for slot in range(self.slots) if slot not in at_slot]
            enough = not at_slot or len(free) * 8 >= self.slots  # reading few prompts takes as long as reading many
            if waiting and enough:
                for group in self._groups(waiting, free, encoded):
                    self._admit(list(group), [encoded[position] for position in group.values()])
                    at_slot |= group
                    ids |= {position: [] for position in group.values()}
            for _ in range(self.chunk):
                self._step()
            done = {}
            columns = self.written.t().tolist()  # the one place where Python waits for the GPU
            for slot, position in list(at_slot.items()):
                if self._take(ids[position], columns[slot]):
                    done[position] = ids.pop(position)
                    del at_slot[slot]
            if done:
                on_done(done)

    @torch.no_grad()
    def stream(self, prompt: list[int]) -> Iterator[int]:
        """Ids of the answer to one prompt as they are made, without the end token. For a decoder of one slot and chunk 1."""
        self._admit([0], [prompt])
        for _ in range(self.generation.max_new_tokens):
            self._step()
            token = int(self.written[0, 0])
            if token in self.ends:
                return
            yield token

    def _groups(self, waiting: deque, free: list[int], encoded: list[list[int]]) -> Iterator[dict[int, int]]:
        """{slot: position} of the next prompts, at most PREFILL_TOKENS in one group."""
        while waiting and free:
            count = min(len(free), len(waiting), max(1, PREFILL_TOKENS // len(encoded[waiting[0]])))
            yield {free.pop(): waiting.popleft() for _ in range(count)}

    def _take(self, ids: list[int], new: list[int]) -> bool:
        """Add tokens to an answer up to its end; True if that is reached."""
        for token in new:
            ids.append(token)
            if token in self.ends or len(ids) == self.generation.max_new_tokens:
                return True
        return False

    def _admit(self, slots: list[int], prompts: list[list[int]]) -> None:
        """Prefill prompts: write their keys and values into the ring before its position, and choose their first tokens."""
        where = torch.tensor(slots, device=self.device)
        ids, real = self._left_padded(prompts)  # (prompts, longest) both
        longest = ids.shape[1]
        positions = (real.cumsum(1) - 1).clamp(min=0)  # padding has position 0, and nothing attends to it
        cache = _Collected()
        logits = self.model(
            input_ids=ids, attention_mask=self._causal_mask(real), position_ids=positions,
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # (prompts, vocabulary)  # fmt: skip
        if self.ring is None:
            self._prepare(cache.layers)
        columns = (self.ring.place - longest + torch.arange(longest, device=self.device)) % self.length
        for ring_layer, new_layer in zip(self.ring.layers, cache.layers, strict=True):
            for ring_values, new_values in zip(ring_layer, new_layer, strict=True):
                ring_values[where[:, None], :, columns[None, :]] = new_values.transpose(1, 2)
        row_mask = torch.full((len(slots), self.length), self.low, dtype=self.model.dtype, device=self.device)
        row_mask[:, columns] = self._additive(real)
        self.mask[where, 0, 0] = row_mask
        self.positions[where] = self.begun[where] = real.sum(1)
        self._note_tokens(where, ids, real, positions)
        self.tokens[where] = self._choose(logits, where)

    def _left_padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and which of them are real, each (prompts, longest); padding stands on the left."""
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        real = torch.zeros(len(prompts), longest, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            real[row, longest - len(prompt) :] = True
        return ids.to(self.device), real.to(self.device)

    def _additive(self, visible: torch.Tensor) -> torch.Tensor:
        """Return a boolean mask as one that is added to attention scores: 0 where visible, else the dtype's minimum."""
        zero, low = (torch.tensor(value, dtype=self.model.dtype, device=self.device) for value in (0.0, self.low))
        return torch.where(visible, zero, low)

    def _causal_mask(self, real: torch.Tensor) -> torch.Tensor:
        """Return the causal mask of padded prompts, (prompts, 1, longest, longest); padding attends to itself alone."""
        longest = real.shape[1]
        causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
        return self._additive(
            real[:, None, None, :] & causal | torch.eye(longest, dtype=torch.bool, device=self.device)
        )

    def _note_tokens(self, where: torch.Tensor, ids: torch.Tensor, real: torch.Tensor, positions: torch.Tensor) -> None:
        """Record a prompt's tokens for the repetition penalty and for n-grams that must not repeat."""
        if self.seen is not None:
            tokens = torch.where(real, ids, ids[:, -1:])  # in place of padding, a token that is there anyway
            self.seen[where] = torch.zeros_like(self.seen[where]).scatter_(1, tokens, True)
        if self.history is not None:
            rows = torch.full((len(ids), self.length), -1, dtype=torch.long, device=self.device)
            rows.scatter_(1, torch.where(real, positions, self.length - 1), torch.where(real, ids, -1))
            self.history[where] = rows

    def _prepare(self, like: list) -> None:
        """Make the ring, and record the step."""
        self.ring = _Ring(like, self.slots, self.length)
        if not self.graph_wanted:
            return
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._compute()
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._compute()
        for state in (self.ring.place, self.tick):
            state.zero_()

    def _step(self) -> None:
        if self.graph is None:
            self._compute()
        else:
            self.graph.replay()

    def _compute(self) -> None:
        """One token a slot: written down, fed to the model, and followed by the next one. Everything stays on the device."""
        self.written.index_copy_(0, self.tick, self.tokens[None])
        self.mask.index_fill_(3, self.ring.place, 0.0)
        if self.seen is not None:
            self.seen.scatter_(1, self.tokens[:, None], True)
        usual, self.model.config._attn_implementation = self.model.config._attn_implementation, ATTENTION
        try:
            logits = self.model(
                input_ids=self.tokens[:, None], attention_mask=self.mask, position_ids=self.positions[:, None],
                past_key_values=self.ring, use_cache=True,
            ).logits[:, -1]  # fmt: skip
        finally:
            self.model.config._attn_implementation = usual
        if self.history is not None:
            place = self.positions.clamp(max=self.length - 1)  # an idle slot counts on beyond the end
            self.history.scatter_(1, place[:, None], self.tokens[:, None])
        self.positions.add_(1)
        self.tokens.copy_(self._choose(logits, slice(None)))
        self.ring.place.add_(1).remainder_(self.length)
        self.tick.add_(1).remainder_(self.chunk)

    def _choose(self, logits: torch.Tensor, rows) -> torch.Tensor:
        """The next token of some slots. logits: (slots, vocabulary); rows: which slots these are, as an index."""
        logits, penalty = logits.float(), self.generation.repetition_penalty
        if self.seen is not None:
            changed = torch.where(logits > 0, logits / penalty, logits * penalty)
            logits = torch.where(self.seen[rows], changed, logits)
        if self.history is not None:
            logits = self._block_repeated_ngrams(logits, self.history[rows], self.positions[rows])
        if self.generation.length_decay:
            logits = self._apply_length_penalty(logits, self.positions[rows] - self.begun[rows])
        if not self.generation.do_sample:
            return logits.argmax(-1)
        for warp in self.warpers:
            logits = warp(None, logits)
        return torch.multinomial(logits.softmax(-1), 1)[:, 0]

    def _apply_length_penalty(self, logits: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        """The end tokens' logits raised. written: how many tokens each answer has so far, (rows,)."""
        start, factor = self.generation.length_decay
        growth = torch.pow(factor, (written - start).clamp(min=0).float()) - 1
        ends = logits.index_select(1, self.end_ids)
        return logits.index_copy(1, self.end_ids, ends + ends.abs() * growth[:, None])

    def _block_repeated_ngrams(self, logits: torch.Tensor, history: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """-inf for each token that would end an n-gram which is in the history. count: tokens of each row, (rows,)."""
        n = self.generation.no_repeat_ngram
        windows = history.unfold(1, n, 1)  # (rows, length - n + 1, n)
        last = history.gather(1, (count[:, None] + torch.arange(1 - n, 0, device=self.device)).clamp(min=0))
        comes_again = (windows[..., :-1] == last[:, None]).all(-1) & (windows[..., -1] >= 0)
        # a window that does not count forbids a token beyond the vocabulary
        tokens = torch.where(comes_again, windows[..., -1], logits.shape[-1])
        wider = functional.pad(logits, (0, 1))
        return wider.scatter(1, tokens, float("-inf"))[:, :-1]
