"""Generate completions: for many prompts in batches, or for one prompt as a stream.

Prompts are sorted by length and padded on the left: a decoding step costs nearly the same for 1 or 64 prompts, and padding on the
right, between prompt and completion, changes the output of a decoder-only model. Results are returned in the original order.
`cuda_graph_decoder` is used where it supports the model, `transformers.generate` elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Thread

import numpy as np
import torch
from tqdm import tqdm
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
    TextStreamer,
)

from ftlib.generation.cuda_graph_decoder import Decoder, is_plain_attention, is_supported
from ftlib.generation.kept import kept_with
from ftlib.prompts.encoding import encode_prompt, end_ids

CACHED_DECODERS = 4  # per model: one for each combination of decoding settings and prompt length


@dataclass(frozen=True)
class Answer:
    """One generated completion.

    Attributes:
        text: decoded, without special tokens.
        n_tokens: generated tokens, without the end token.
        stopped: True if the model generated an end token within `max_new_tokens`.
    """

    text: str
    n_tokens: int
    stopped: bool


def settings(tokenizer, generation, model=None, prompt_length: int = 0) -> dict:
    """Convert `cfg.generation` to arguments of `model.generate`.

    Completions also end at the end tokens of `model`'s generation config. prompt_length: tokens of the padded prompts, which
    repetition penalty and n-gram blocking ignore with `penalize_prompt` off.
    """
    ends = end_ids(tokenizer, model)
    arguments = {"max_new_tokens": generation.max_new_tokens, "do_sample": generation.do_sample, "eos_token_id": ends}
    arguments |= {
        "pad_token_id": tokenizer.pad_token_id,
        "repetition_penalty": generation.repetition_penalty,
        "no_repeat_ngram_size": generation.no_repeat_ngram,
        "num_beams": generation.beams,
        "exponential_decay_length_penalty": generation.length_decay,
        "use_cache": True,
    }
    if not generation.penalize_prompt:
        processors = LogitsProcessorList()
        if (penalty := arguments.pop("repetition_penalty")) != 1.0:
            processors.append(_CompletionOnly(RepetitionPenaltyLogitsProcessor(penalty), prompt_length))
        if size := arguments.pop("no_repeat_ngram_size"):
            processors.append(_CompletionOnly(NoRepeatNGramLogitsProcessor(size), prompt_length))
        arguments["logits_processor"] = processors
    if generation.do_sample:
        sampling = {"temperature": generation.temperature, "top_p": generation.top_p, "min_p": generation.min_p or None}
        arguments |= sampling
    return arguments


class _CompletionOnly(LogitsProcessor):
    """Apply a processor to the tokens after the prompt."""

    def __init__(self, processor: LogitsProcessor, prompt_length: int):
        self.processor, self.prompt_length = processor, prompt_length

    def __call__(self, input_ids, scores):
        return self.processor(input_ids[:, self.prompt_length :], scores)


def make_batches(lengths: list[int], max_new_tokens: int, batch_tokens: int) -> list[list[int]]:
    """Group prompts into batches, longest first, of at most `batch_tokens` tokens.

    Args:
        lengths: tokens of each prompt.
        max_new_tokens: tokens of each completion.
        batch_tokens: limit for prompts and completions of one batch; a longer prompt is a batch of its own.

    Returns:
        The indices of the prompts in each batch.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches:
            longest = lengths[batches[-1][0]] + max_new_tokens
            if (len(batches[-1]) + 1) * longest <= batch_tokens:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches


def answer_prompts(
    model,
    tokenizer,
    prompts: list[str],
    generation,
    progress: str | None = None,
    on_batch: Callable[[list[int], list[Answer]], None] | None = None,
) -> list[Answer]:
    """Generate a completion for each user message; arguments and result are as in `answer_encoded`."""
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    return answer_encoded(model, tokenizer, encoded, generation, progress, on_batch)


def answer_encoded(
    model,
    tokenizer,
    encoded: list[list[int]],
    generation,
    progress: str | None = None,
    on_batch: Callable[[list[int], list[Answer]], None] | None = None,
) -> list[Answer]:
    """Generate a completion for each prompt, in the order of `encoded`.

    Sampling is seeded once per call, so that the same prompts give the same completions. With `generation.candidates` above 1
    each prompt gets that many sampled completions, of which the one nearest to all others is returned (see `nearest_to_all`).

    Args:
        model: a causal language model.
        tokenizer: of the model.
        encoded: ids of each prompt, up to the start of the assistant's turn.
        generation: `cfg.generation`.
        progress: label of a progress bar, None for no bar.
        on_batch: called with (indices, completions) whenever some are finished, to save them.
    """
    answers: list[Answer | None] = [None] * len(encoded)
    if generation.do_sample:
        torch.manual_seed(generation.seed)
    with tqdm(total=len(encoded), desc=progress, unit=" answers", disable=None if progress else True) as bar:

        def on_finished(indices: list[int], batch: list[Answer]) -> None:
            for index, answer in zip(indices, batch, strict=True):
                answers[index] = answer
            if on_batch:
                on_batch(indices, batch)
            bar.update(len(indices))

        generate = _generate_with_decoder if is_supported(model, generation) else _generate_with_transformers
        if generation.candidates > 1:
            on_sampled = _choosing(generation.candidates, on_finished)
            generate(
                model, tokenizer, [ids for ids in encoded for _ in range(generation.candidates)], generation, on_sampled
            )
        else:
            generate(model, tokenizer, encoded, generation, on_finished)
    return answers


def _choosing(count: int, on_finished: Callable[[list[int], list[Answer]], None]) -> Callable:
    """Return a function that collects candidates and passes on the chosen one when all `count` of a prompt are there."""
    candidates: dict[int, list[Answer]] = defaultdict(list)

    def on_sampled(indices: list[int], batch: list[Answer]) -> None:
        for index, answer in zip(indices, batch, strict=True):
            candidates[index // count].append(answer)
        complete = [index for index in {i // count: None for i in indices} if len(candidates[index]) == count]
        if complete:
            sampled = [candidates.pop(index) for index in complete]
            on_finished(complete, [each[nearest_to_all([answer.text for answer in each])] for each in sampled])

    return on_sampled


def nearest_to_all(texts: list[str]) -> int:
    """Return the index of the text with the highest mean similarity to all texts: minimum Bayes risk decoding.

    A sample is likely under the model, so the mean similarity to the samples estimates the expected similarity to the unknown
    reference (Eikema and Aziz 2020, arXiv 2005.10283). Similarity is the F2 score of shared words, pairs and triples of adjacent
    words, with the sample as the reference: recall weighs twice as much as precision, as in chrF2, or the shortest text would
    win. Triples favour answers that quote. Ties go to the first text.
    """
    words = [text.lower().split() for text in texts]
    bags = [
        Counter([*each, *zip(each, each[1:], strict=False), *zip(each, each[1:], each[2:], strict=False)])
        for each in words
    ]
    column = {ngram: index for index, ngram in enumerate(set().union(*bags))}
    counts = np.zeros((len(texts), len(column)), np.int32)
    for row, bag in zip(counts, bags, strict=True):
        row[[column[ngram] for ngram in bag]] = list(bag.values())
    sizes = counts.sum(1)
    shared = np.stack([np.minimum(row, counts).sum(1) for row in counts])  # (texts, samples)
    return int((5 * shared / np.maximum(sizes[:, None] + 4 * sizes, 1)).sum(1).argmax())


def _generate_with_transformers(model, tokenizer, encoded: list[list[int]], generation, on_finished: Callable) -> None:
    for indices in make_batches(list(map(len, encoded)), generation.max_new_tokens, generation.batch_tokens):
        on_finished(indices, generate_batch(model, tokenizer, [encoded[i] for i in indices], generation))


def _generate_with_decoder(model, tokenizer, encoded: list[list[int]], generation, on_finished: Callable) -> None:
    if not encoded:
        return
    longest, ends = max(map(len, encoded)), end_ids(tokenizer, model)
    slots = max(1, min(len(encoded), generation.batch_tokens // (longest + generation.max_new_tokens)))
    decoder = Decoder(model, generation, ends, slots, longest)

    def on_done(done: dict[int, list[int]]) -> None:
        on_finished(list(done), [to_answer(ids, tokenizer, ends) for ids in done.values()])

    decoder.run(encoded, on_done)


@torch.no_grad()
def generate_batch(model, tokenizer, encoded: list[list[int]], generation) -> list[Answer]:
    """Generate completions for one batch of encoded prompts.

    The tokens with which all prompts begin are read once; shorter prompts are padded behind them, to the longest.
    """
    longest, shared = max(map(len, encoded)), _shared_tokens(model, encoded, generation)
    device = next(model.parameters()).device
    input_ids = torch.full((len(encoded), longest), tokenizer.pad_token_id)  # (prompts, longest)
    mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(encoded):
        for part, begin in ((ids[:shared], 0), (ids[shared:], longest - len(ids) + shared)):
            input_ids[row, begin : begin + len(part)] = torch.tensor(part)
            mask[row, begin : begin + len(part)] = 1
    arguments = settings(tokenizer, generation, model, longest)
    if shared:
        read = model(input_ids=input_ids[:1, :shared].to(device), use_cache=True, logits_to_keep=1)
        read.past_key_values.batch_repeat_interleave(len(encoded))
        arguments["past_key_values"] = read.past_key_values
    out = model.generate(input_ids=input_ids.to(device), attention_mask=mask.to(device), **arguments)
    return [to_answer(ids, tokenizer, arguments["eos_token_id"]) for ids in out[:, longest:].tolist()]


def _shared_tokens(model, encoded: list[list[int]], generation) -> int:
    """Count the tokens that all prompts begin with and that are read once: 0 where a gap behind them would change the answers.

    Beams reorder the cache, a window counts its columns, and n-grams of the prompt would be cut by the gap.
    """
    cut = generation.no_repeat_ngram and generation.penalize_prompt
    if len(encoded) == 1 or generation.beams > 1 or cut or not is_plain_attention(model.config):
        return 0
    return min(len(os.path.commonprefix(encoded)), min(map(len, encoded)) - 1)


def to_answer(ids: list[int], tokenizer, ends: list[int]) -> Answer:
    """Decode generated ids up to the first end token."""
    stop = next((index for index, token in enumerate(ids) if token in ends), None)
    ids = ids if stop is None else ids[:stop]
    return Answer(tokenizer.decode(ids, skip_special_tokens=True).strip(), len(ids), stop is not None)


def stream_answer(model, tokenizer, prompt: str, generation) -> Iterator[str]:
    """Yield the completion of one user message in pieces; closing the iterator stops the generation."""
    if generation.do_sample:
        torch.manual_seed(generation.seed)
    ids = encode_prompt(tokenizer, prompt)
    stream = _stream_with_decoder if is_supported(model, generation) else _stream_with_transformers
    yield from stream(model, tokenizer, ids, generation)


class _WordStreamer(TextStreamer):
    """Turn a stream of ids into a stream of complete words."""

    def __init__(self, tokenizer):
        super().__init__(tokenizer, skip_special_tokens=True)
        self.ready: list[str] = []

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.ready.append(text)


def _stream_with_decoder(model, tokenizer, ids: list[int], generation) -> Iterator[str]:
    streamer, decoder = _WordStreamer(tokenizer), _single_prompt_decoder(model, tokenizer, generation, len(ids))
    with decoder.lock:  # concurrent requests run one after the other
        for token in decoder.stream(ids):
            streamer.put(torch.tensor([token]))
            yield from streamer.ready
            streamer.ready.clear()
    streamer.end()
    yield from streamer.ready


def _single_prompt_decoder(model, tokenizer, generation, longest: int) -> Decoder:
    """Return a decoder for one prompt, cached on the model, because capturing its CUDA graph is slow."""
    longest = -(-longest // 256) * 256
    decoders = kept_with(model).setdefault("decoders", {})
    key = (generation.model_dump_json(), longest)
    if key not in decoders:
        if len(decoders) == CACHED_DECODERS:
            del decoders[next(iter(decoders))]  # the oldest
        decoders[key] = Decoder(model, generation, end_ids(tokenizer, model), 1, longest, chunk=1)
    return decoders[key]


class _StopWhenClosed(StoppingCriteria):
    """Stop the generation once the consumer has closed the stream."""

    def __init__(self):
        self.event = Event()

    def __call__(self, input_ids, scores, **_):
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _stream_with_transformers(model, tokenizer, ids: list[int], generation) -> Iterator[str]:
    streamer, closed = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True), _StopWhenClosed()
    input_ids = torch.tensor([ids], device=next(model.parameters()).device)
    arguments = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids), "streamer": streamer}
    arguments["stopping_criteria"] = StoppingCriteriaList([closed])
    errors: list[Exception] = []

    def generate() -> None:
        try:
            model.generate(**arguments | settings(tokenizer, generation, model, len(ids)))
        except Exception as error:  # re-raised in the consumer; otherwise the stream would block
            errors.append(error)
            streamer.end()

    worker = Thread(target=generate, daemon=True)
    worker.start()
    try:
        yield from streamer
    finally:
        closed.event.set()
        worker.join()
    if errors:
        raise errors[0]
