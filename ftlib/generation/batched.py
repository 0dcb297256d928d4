"""Let a model answer: many prompts in batches, or one as a stream.

Why batches sorted by length and padded on the left: a decode step costs nearly the same for 1 or 64 prompts, and a
decoder-only model must see its prompt right before the answer (padding on the right changes the output). Order is restored.
On a GPU `decoding` does it, many times as fast; elsewhere, and for models that it does not know, `transformers.generate`.
How: `answer_prompts(model, tokenizer, prompts, cfg.generation)`; `stream_answer(...)` yields text as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Thread

import torch
from tqdm import tqdm
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer, TextStreamer

from ftlib.generation.cuda_graph_decoder import Decoder, is_supported
from ftlib.prompts.encoding import encode_prompt, end_ids
from ftlib.prompts.templates import Turns

KEPT_DECODERS = 4  # a model: one for each way of decoding that is asked for, with its cache


@dataclass(frozen=True)
class Answer:
    """One generated answer. `stopped`: the model ended it by itself, within `max_new_tokens`. `n_tokens` leaves its EOS out."""

    text: str
    n_tokens: int
    stopped: bool


def settings(tokenizer, generation, model=None) -> dict:
    """Return `cfg.generation` as arguments of `model.generate`; answers also stop where `model`'s own config says so."""
    ends = end_ids(tokenizer, model)
    wanted = {"max_new_tokens": generation.max_new_tokens, "do_sample": generation.do_sample, "eos_token_id": ends}
    wanted |= {
        "pad_token_id": tokenizer.pad_token_id,
        "repetition_penalty": generation.repetition_penalty,
        "no_repeat_ngram_size": generation.no_repeat_ngram,
        "num_beams": generation.beams,
        "exponential_decay_length_penalty": generation.length_decay,
        "use_cache": True,
    }
    if generation.do_sample:
        wanted |= {"temperature": generation.temperature, "top_p": generation.top_p, "min_p": generation.min_p or None}
    return wanted


def make_batches(lengths: list[int], max_new_tokens: int, batch_tokens: int) -> list[list[int]]:
    """Positions of the prompts in each batch, longest first, so that prompts and answers stay within `batch_tokens`."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches:
            longest = lengths[batches[-1][0]] + max_new_tokens
            if (len(batches[-1]) + 1) * longest <= batch_tokens:
                batches[-1].append(position)
                continue
        batches.append([position])
    return batches


def answer_prompts(
    model,
    tokenizer,
    prompts: list[str],
    generation,
    progress: str | None = None,
    on_batch: Callable[[list[int], list[Answer]], None] | None = None,
    few_shot: Turns = (),
) -> list[Answer]:
    """Answers to user messages, in their order. generation: a `GenerationConfig` of ftlib.

    on_batch(positions, answers) is called as answers are finished, so that a caller can keep what is done. Greedy unless
    `do_sample`, which is seeded once, so that the same prompts give the same answers. few_shot: turns before each prompt.
    """
    encoded = [encode_prompt(tokenizer, prompt, few_shot) for prompt in prompts]
    answers: list[Answer | None] = [None] * len(prompts)
    if generation.do_sample:
        torch.manual_seed(generation.seed)
    with tqdm(total=len(prompts), desc=progress, unit=" answers", disable=None if progress else True) as bar:

        def finished(positions: list[int], batch: list[Answer]) -> None:
            for position, answer in zip(positions, batch, strict=True):
                answers[position] = answer
            if on_batch:
                on_batch(positions, batch)
            bar.update(len(positions))

        answer_all = _answer_fast if is_supported(model, generation) else _answer_in_batches
        answer_all(model, tokenizer, encoded, generation, finished)
    return answers


def _answer_in_batches(model, tokenizer, encoded: list[list[int]], generation, finished: Callable) -> None:
    for positions in make_batches(list(map(len, encoded)), generation.max_new_tokens, generation.batch_tokens):
        finished(positions, generate_batch(model, tokenizer, [encoded[p] for p in positions], generation))


def _answer_fast(model, tokenizer, encoded: list[list[int]], generation, finished: Callable) -> None:
    if not encoded:
        return
    longest, ends = max(map(len, encoded)), end_ids(tokenizer, model)
    slots = max(1, min(len(encoded), generation.batch_tokens // (longest + generation.max_new_tokens)))
    decoder = Decoder(model, generation, ends, slots, longest)

    def on_done(done: dict[int, list[int]]) -> None:
        finished(list(done), [to_answer(ids, tokenizer, ends) for ids in done.values()])

    decoder.run(encoded, on_done)


@torch.no_grad()
def generate_batch(model, tokenizer, encoded: list[list[int]], generation) -> list[Answer]:
    """One batch, padded on the left to its longest prompt."""
    longest = max(len(ids) for ids in encoded)
    device = next(model.parameters()).device
    input_ids = torch.full((len(encoded), longest), tokenizer.pad_token_id)
    mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(encoded):
        input_ids[row, longest - len(ids) :] = torch.tensor(ids)
        mask[row, longest - len(ids) :] = 1
    wanted = settings(tokenizer, generation, model)
    out = model.generate(input_ids=input_ids.to(device), attention_mask=mask.to(device), **wanted)
    return [to_answer(ids, tokenizer, wanted["eos_token_id"]) for ids in out[:, longest:].tolist()]


def to_answer(ids: list[int], tokenizer, ends: list[int]) -> Answer:
    """Generated ids up to the first end token, as text."""
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    ids = ids if stop is None else ids[:stop]
    return Answer(tokenizer.decode(ids, skip_special_tokens=True).strip(), len(ids), stop is not None)


def stream_answer(model, tokenizer, prompt: str, generation) -> Iterator[str]:
    """Yield the answer to one user message piece by piece, as it is written. Closing the iterator ends the answer."""
    if generation.do_sample:
        torch.manual_seed(generation.seed)
    ids = encode_prompt(tokenizer, prompt)
    stream = _stream_fast if is_supported(model, generation) else _stream_in_thread
    yield from stream(model, tokenizer, ids, generation)


class _Pieces(TextStreamer):
    """Ids in, whole words out."""

    def __init__(self, tokenizer):
        super().__init__(tokenizer, skip_special_tokens=True)
        self.ready: list[str] = []

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.ready.append(text)


def _stream_fast(model, tokenizer, ids: list[int], generation) -> Iterator[str]:
    pieces, decoder = _Pieces(tokenizer), _decoder_of_one(model, tokenizer, generation, len(ids))
    with decoder.lock:  # two that ask at once are answered one after the other
        for token in decoder.stream(ids):
            pieces.put(torch.tensor([token]))
            yield from pieces.ready
            pieces.ready.clear()
    pieces.end()
    yield from pieces.ready


def _decoder_of_one(model, tokenizer, generation, longest: int) -> Decoder:
    """A decoder for one prompt, kept with the model: recording a step takes longer than many an answer."""
    longest = -(-longest // 256) * 256
    kept = vars(model).setdefault("_ftlib_decoders", {})
    key = (generation.model_dump_json(), longest)
    if key not in kept:
        if len(kept) == KEPT_DECODERS:
            del kept[next(iter(kept))]  # the oldest
        kept[key] = Decoder(model, generation, end_ids(tokenizer, model), 1, longest, chunk=1)
    return kept[key]


class _Closed(StoppingCriteria):
    """Ends an answer that nobody reads any more."""

    def __init__(self):
        self.event = Event()

    def __call__(self, input_ids, scores, **_):
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _stream_in_thread(model, tokenizer, ids: list[int], generation) -> Iterator[str]:
    streamer, closed = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True), _Closed()
    input_ids = torch.tensor([ids], device=next(model.parameters()).device)
    arguments = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids), "streamer": streamer}
    arguments["stopping_criteria"] = StoppingCriteriaList([closed])
    failed: list[Exception] = []

    def write() -> None:
        try:
            model.generate(**arguments | settings(tokenizer, generation, model))
        except Exception as error:  # nobody would see it in this thread, and the reader would wait for ever
            failed.append(error)
            streamer.end()

    worker = Thread(target=write, daemon=True)
    worker.start()
    try:
        yield from streamer
    finally:
        closed.event.set()
        worker.join()
    if failed:
        raise failed[0]
