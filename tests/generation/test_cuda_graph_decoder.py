"""The fast decode gives, token by token, what transformers.generate gives for one prompt at a time."""

import copy

import pytest
import smoke
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

from ftlib.generation import batched as generation_module
from ftlib.generation.batched import answer_prompts, generate_batch, stream_answer, to_answer
from ftlib.generation.batched import settings as arguments_of
from ftlib.generation.cuda_graph_decoder import Decoder
from ftlib.generation.kept import kept_with
from ftlib.generation.sampling import sampled_from
from ftlib.prompts.encoding import encode_prompt
from ftlib.prompts.templates import build_prompt

PROMPTS = [build_prompt("Kettle blue " * (n % 9 + 1) + str(n)) for n in range(30)]


@pytest.fixture(scope="module")
def model():
    return smoke.sharp_model()


@pytest.fixture(scope="module")
def encoded():
    return [encode_prompt(smoke.tokenizer(), prompt) for prompt in PROMPTS]


def settings(**changes):
    return smoke.config().generation.model_copy(update={"max_new_tokens": 13} | changes)


def generated(model, ids: list[int], wanted) -> list[int]:
    """What transformers makes of one prompt, to the last token that is wanted."""
    arguments = arguments_of(smoke.tokenizer(), wanted, prompt_length=len(ids)) | {"eos_token_id": [0]}
    prompt = torch.tensor([ids])
    return model.generate(prompt, attention_mask=torch.ones_like(prompt), **arguments)[0, len(ids) :].tolist()


def decoded(model, encoded, wanted, ends: list[int], slots: int) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    decoder = Decoder(model, wanted, ends, slots, max(map(len, encoded)), chunk=4, graph=False)
    decoder.run(encoded, found.update)
    assert slots * decoder.length < sum(map(len, found.values())), "the ring must go round, or its turn is not tested"
    return [found[position] for position in range(len(encoded))]


@pytest.mark.parametrize(
    ("changes", "penalize_prompt"),
    [
        ({}, True),
        ({"repetition_penalty": 1.3}, False),
        ({"no_repeat_ngram": 2}, True),
        pytest.param({"repetition_penalty": 1.3}, True, marks=pytest.mark.slow),
        pytest.param({"no_repeat_ngram": 2}, False, marks=pytest.mark.slow),
    ],
)
def test_refilled_slots_answer_as_each_prompt_alone(model, encoded, changes, penalize_prompt):
    """Keys left over from a slot's last prompt would put one product's words into another's description."""
    wanted = settings(**changes, penalize_prompt=penalize_prompt)
    whole = [generated(model, ids, wanted) for ids in encoded]
    # tokens that end some answers early, so that slots come free unevenly
    ends = sorted({whole[k][k] for k in (3, 5, 8, 11)})
    alone = [ids[: next((place + 1 for place, token in enumerate(ids) if token in ends), None)] for ids in whole]
    assert len({len(ids) for ids in alone}) > 2
    assert decoded(model, encoded, wanted, ends, slots=2) == alone


def test_the_end_pulls_harder_as_answers_grow(model, encoded):
    """A setting that ends answers on a CPU and not on a GPU would make two models of one."""
    wanted, tok = settings(length_decay=(4, 1.5)), smoke.tokenizer()
    ends = arguments_of(tok, wanted)["eos_token_id"]
    plain = decoded(model, encoded, settings(), ends, slots=2)
    found = decoded(model, encoded, wanted, ends, slots=2)
    assert [ids[:5] for ids in found] == [ids[:5] for ids in plain]
    assert max(map(len, found)) < 13 == max(map(len, plain))
    assert [to_answer(ids, tok, ends) for ids in found] == [
        generate_batch(model, tok, [ids], wanted)[0] for ids in encoded
    ]


def test_prompts_are_read_in_groups_that_fit(model, encoded, monkeypatch):
    """A thousand long prompts read at once do not fit a GPU's memory."""
    monkeypatch.setattr("ftlib.generation.cuda_graph_decoder.PREFILL_TOKENS", 200)
    decoder = Decoder(model, settings(), [0], 8, max(map(len, encoded)), chunk=4, graph=False)
    sizes, admit = [], decoder._admit
    monkeypatch.setattr(
        decoder, "_admit", lambda slots, prompts: (sizes.append(list(map(len, prompts))), admit(slots, prompts))
    )
    found: dict[int, list[int]] = {}
    decoder.run(encoded, found.update)
    assert len(found) == len(encoded) == sum(map(len, sizes)) and max(map(len, sizes)) > 1
    assert all(len(group) * max(group) <= 200 for group in sizes)


def test_both_ways_of_answering_and_streaming_agree(model, monkeypatch):
    """A reader with a GPU must get the answers that the evaluation on a CPU got."""
    tok, few = smoke.tokenizer(), PROMPTS[:7]
    slow, slow_stream = (
        answer_prompts(model, tok, few, settings()),
        "".join(stream_answer(model, tok, few[3], settings())),
    )
    monkeypatch.setattr(generation_module, "is_supported", lambda model, generation: True)
    assert answer_prompts(model, tok, few, settings(batch_tokens=300)) == slow
    for _ in range(2):  # the second time with the decoder that was kept
        pieces = list(stream_answer(model, tok, few[3], settings()))
        assert len(pieces) > 1 and "".join(pieces) == slow_stream


def test_a_model_that_has_streamed_can_be_copied_and_saved_and_its_decoder_is_kept(monkeypatch, tmp_path):
    """Decoders hold locks and refer to their model: a copy of the model must not try to take them along."""
    monkeypatch.setattr(generation_module, "is_supported", lambda model, generation: True)
    model = copy.deepcopy(smoke.sharp_model())

    def streamed(by) -> str:
        return "".join(stream_answer(by, smoke.tokenizer(), PROMPTS[0], settings()))

    text = streamed(model)
    (decoder,) = kept_with(model)["decoders"].values()
    copied = copy.deepcopy(model)
    torch.save(model, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    assert not kept_with(copied) and not kept_with(loaded)
    assert streamed(model) == streamed(copied) == streamed(loaded) == text
    assert list(kept_with(model)["decoders"].values()) == [decoder]
    assert list(kept_with(copied)["decoders"].values()) != [decoder]


def test_sampling_repeats_with_its_seed_and_differs_with_another(model, monkeypatch):
    """Sampled answers that nobody can make again prove nothing."""
    monkeypatch.setattr(generation_module, "is_supported", lambda model, generation: True)
    first, again, other = (
        answer_prompts(model, smoke.tokenizer(), PROMPTS[:5], settings(do_sample=True, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("changes", [{"top_p": 0.9}, {"top_p": 0.3, "temperature": 0.7}, {"min_p": 0.1, "top_p": 1.0}])
def test_tokens_are_sampled_with_the_probabilities_of_transformers(changes):
    """A threshold that keeps one token too many samples from another distribution than the one the settings name."""
    wanted = settings(do_sample=True, **changes)
    logits = torch.randn(7, 500, generator=torch.Generator().manual_seed(1)) * torch.tensor(
        [[0.1], [1], [3], [5], [9], [20], [90]]
    )
    warped = TopPLogitsWarper(wanted.top_p)(None, TemperatureLogitsWarper(wanted.temperature)(None, logits))
    if wanted.min_p:
        warped = MinPLogitsWarper(wanted.min_p)(None, warped)
    found = sampled_from(logits, wanted)
    torch.testing.assert_close(found / found.sum(-1, keepdim=True), warped.softmax(-1))


def test_prompt_that_is_sampled_several_times_is_read_once(model, encoded, monkeypatch):
    """Sixteen candidates of a prompt with three passages would otherwise wait for sixteen prefills."""
    once = decoded(model, encoded, settings(), [1], 2)
    read: list[int] = []
    padded = Decoder._left_padded
    monkeypatch.setattr(
        Decoder, "_left_padded", lambda self, prompts: read.append(len(prompts)) or padded(self, prompts)
    )
    copies = decoded(model, [ids for ids in encoded for _ in range(4)], settings(), [1], 8)
    assert copies == [ids for ids in once for _ in range(4)] and sum(read) < 60
