"""Batched generation gives what one prompt at a time gives, in the order that was asked."""

import functools

import pytest
import smoke

from ftlib.config.settings import ConfigError
from ftlib.generation import batched
from ftlib.generation.batched import Answer, answer_prompts, generate_batch, make_batches, stream_answer, to_answer
from ftlib.prompts.encoding import encode_prompt
from ftlib.prompts.templates import build_prompt

PROMPTS = [build_prompt("Kettle " * n) for n in (1, 9, 3, 14, 5)]


@pytest.fixture(scope="module")
def model():
    return smoke.sharp_model()


def settings(**changes):
    return smoke.config().generation.model_copy(update={"max_new_tokens": 12} | changes)


def test_batched_answers_equal_single_answers_in_the_order_asked(model):
    """Wrong padding or a lost order would print one product's text under another's title."""
    tok = smoke.tokenizer()
    alone = [generate_batch(model, tok, [encode_prompt(tok, prompt)], settings())[0] for prompt in PROMPTS]
    assert answer_prompts(model, tok, PROMPTS, settings()) == alone
    assert answer_prompts(model, tok, PROMPTS, settings(batch_tokens=256)) == alone
    assert len({answer.text for answer in alone}) > 1


@pytest.mark.parametrize("changes", [{}, {"repetition_penalty": 1.5}, {"no_repeat_ngram": 2, "penalize_prompt": False}])
def test_what_all_prompts_begin_with_is_read_once_and_changes_no_answer(model, monkeypatch, changes):
    """The template and the question are two thirds of a prompt; a wrong position behind them would change every answer."""
    tok, read = smoke.tokenizer(), []
    encoded = [encode_prompt(tok, prompt) for prompt in PROMPTS]
    alone = [generate_batch(model, tok, [ids], settings(**changes))[0] for ids in encoded]
    forward = type(model).forward

    @functools.wraps(forward)  # transformers looks at the names of its arguments
    def watched(*args, input_ids, **others):
        read.append(tuple(input_ids.shape))
        return forward(*args, input_ids=input_ids, **others)

    monkeypatch.setattr(type(model), "forward", watched)
    together = generate_batch(model, tok, encoded, settings(**changes))
    assert together == alone
    (once, shared), (prompts, others) = read[:2]
    assert (once, prompts, shared + others) == (1, len(encoded), max(map(len, encoded))) and shared > 20


def test_prompts_that_must_stay_whole_are_read_whole(model):
    """A gap in the prompt would cut its n-grams, beams reorder the cache, and a single prompt shares nothing."""
    encoded = [encode_prompt(smoke.tokenizer(), prompt) for prompt in PROMPTS]
    for changes in ({"beams": 2}, {"no_repeat_ngram": 2, "penalize_prompt": True}):
        assert batched._shared_tokens(model, encoded, settings(**changes)) == 0
    assert batched._shared_tokens(model, encoded[:1], settings()) == 0
    assert batched._shared_tokens(model, [[1, 2, 3], [1, 2, 3]], settings()) == 2  # each keeps a token of its own


def test_batches_stay_within_the_token_budget():
    """A batch that outgrows the GPU stops an evaluation of an hour half-way."""
    lengths = [30, 500, 90, 90, 31, 500]
    batches = make_batches(lengths, max_new_tokens=100, batch_tokens=1200)
    assert sorted(place for batch in batches for place in batch) == list(range(6))
    assert all(len(batch) * (max(lengths[i] for i in batch) + 100) <= 1200 for batch in batches)
    assert len(batches) == 2
    assert make_batches([5000], 100, 1200) == [[0]]  # a single long prompt still runs


def test_answer_ends_at_the_first_end_token():
    """Text after EOS is padding or noise; `stopped` is what the stop rate is counted from."""
    tok = smoke.tokenizer()
    ids = tok("A cup.", add_special_tokens=False)["input_ids"]
    end = tok.eos_token_id
    assert to_answer([*ids, end, *ids, end], tok, [end]) == Answer("A cup.", len(ids), True)
    assert to_answer(ids, tok, [end]) == Answer("A cup.", len(ids), False)
    assert to_answer([end], tok, [end]) == Answer("", 0, True)


def test_sampling_repeats_with_its_seed_and_differs_with_another(model):
    """The reference sampled without a seed, so nobody could see its answers again."""
    tok = smoke.tokenizer()
    first, again, other = (
        answer_prompts(model, tok, PROMPTS, settings(do_sample=True, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_each_batch_is_handed_over_as_soon_as_it_is_done(model):
    """Without it an interrupted evaluation would begin anew."""
    seen = []
    answers = answer_prompts(
        model,
        smoke.tokenizer(),
        PROMPTS,
        settings(batch_tokens=256),
        on_batch=lambda where, got: seen.append((where, got)),
    )
    assert len(seen) > 1
    assert {place: answer for where, got in seen for place, answer in zip(where, got, strict=True)} == dict(
        enumerate(answers)
    )


def test_stream_gives_the_same_text_piece_by_piece(model):
    """The demo must show what the evaluation measured."""
    tok = smoke.tokenizer()
    pieces = list(stream_answer(model, tok, PROMPTS[0], settings()))
    assert len(pieces) > 1
    assert "".join(pieces).strip() == answer_prompts(model, tok, PROMPTS[:1], settings())[0].text


def test_the_candidate_that_most_others_agree_with_is_chosen():
    """Minimum Bayes risk: an outlier, however fluent, must lose, and equal candidates give the first."""
    texts = ["a red cup of steel", "a red cup of clay", "buy it now and save", "a red cup"]
    assert batched.nearest_to_all(texts) in (0, 1)
    assert batched.nearest_to_all(["same"] * 3) == 0 and batched.nearest_to_all(["", ""]) == 0


def test_each_prompt_gets_one_of_its_own_candidates(monkeypatch):
    """Candidates of two prompts that are finished together must not be mixed."""
    model, tok = smoke.sharp_model(), smoke.tokenizer()
    settings = smoke.config().generation.model_copy(
        update={"do_sample": True, "candidates": 4, "max_new_tokens": 6, "temperature": 1.5, "batch_tokens": 256}
    )
    prompts = ["What is a cup?", "And what is a very long kettle for tea and other things?", "A hat?"]
    choices, done = [], []
    monkeypatch.setattr(batched, "nearest_to_all", lambda texts: choices.append(texts) or 2)
    answers = batched.answer_prompts(
        model, tok, prompts, settings, on_batch=lambda indices, batch: done.extend(zip(indices, batch, strict=True))
    )
    assert [len(texts) for texts in choices] == [4, 4, 4] and sorted(index for index, _ in done) == [0, 1, 2]
    assert all(answers[index] == answer for index, answer in done)
    assert {answer.text for answer in answers} == {texts[2] for texts in choices}


def test_candidates_need_sampling():
    """Greedy candidates are all the same: n times the time for nothing."""
    with pytest.raises(ConfigError, match="generation.do_sample=true"):
        smoke.config(generation__candidates=4)
