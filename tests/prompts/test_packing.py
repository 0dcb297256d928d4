"""Packing, padding, and the loss over both."""

from types import SimpleNamespace

import pytest
import smoke
import torch
from transformers import LlamaConfig

from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_loss, answer_nll, mean_nll, rows_at_once
from ftlib.models.loading import load_plain
from ftlib.prompts.encoding import IGNORED
from ftlib.prompts.packing import PackingCollator, PaddingCollator, efficiency, pack
from ftlib.runtime import hardware


@pytest.fixture(scope="module")
def model():
    made = load_plain(fetch("tiny:llama"), "float32")
    with (
        torch.no_grad()
    ):  # random weights give every token nearly the same chance; sharper ones make differences visible
        for weight in made.parameters():
            weight.mul_(4)
    return made


def alone(model, example) -> torch.Tensor:
    """Summed loss of one row by itself: the definition that batches are held against."""
    ids, labels = torch.tensor([example["input_ids"]]), torch.tensor([example["labels"]])
    return answer_loss(model(ids, use_cache=False).logits, labels, count=1).detach()


def test_packing_keeps_every_example_once_and_no_row_too_long():
    """A lost or doubled example would change what a step means."""
    lengths = [100, 30, 512, 1, 400, 112, 111, 60]
    rows = pack(lengths, 512)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in row) <= 512 for row in rows)
    assert len(rows) == 3
    with pytest.raises(ValueError, match="513 tokens does not fit"):
        pack([513], 512)


def test_packed_loss_equals_the_loss_of_each_row_alone(model):
    """If parts of a packed row saw each other, training would learn from its neighbors and every number would be off."""
    examples = smoke.examples(9)
    batch = PackingCollator(smoke.tokenizer().pad_token_id, 256)(examples)
    assert len(batch["input_ids"]) < len(examples)
    logits = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    expected = sum(alone(model, example) for example in examples)
    assert answer_loss(logits, batch["labels"], count=1).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("fault", ["mask", "positions"])
def test_packed_loss_differs_when_the_parts_can_see_each_other(model, fault):
    """The negative control: without it the test above could pass on a model that ignores its context."""
    examples = smoke.examples(9)
    batch = PackingCollator(smoke.tokenizer().pad_token_id, 256)(examples)
    wrong = {"attention_mask": torch.ones_like(batch["input_ids"])} if fault == "mask" else {}
    positions = {} if fault == "positions" else {"position_ids": batch["position_ids"]}
    loss = answer_loss(
        model(batch["input_ids"], use_cache=False, **positions, **wrong).logits, batch["labels"], count=1
    )
    expected = sum(alone(model, example) for example in examples)
    assert abs(loss.item() - expected.item()) > 1e-3 * expected.item()


def test_padded_loss_equals_the_loss_of_each_row_alone(model):
    """With pad == EOS a mask by token id would drop the labels of the real EOS, or count the padding."""
    examples = smoke.examples(5)
    batch = PaddingCollator(smoke.tokenizer().pad_token_id)(examples)
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    expected = sum(alone(model, example) for example in examples)
    assert answer_loss(logits, batch["labels"], count=1).item() == pytest.approx(expected.item(), rel=1e-5)


def test_first_token_of_a_part_is_not_predicted_from_its_neighbor():
    """With loss on the prompt too, the first label of each packed part would be guessed from another product's text."""
    examples = smoke.examples(6, loss_on="all")
    batch = PackingCollator(0, 512)(examples)
    starts = batch["position_ids"] == 0
    assert set(batch["labels"][starts].tolist()) == {IGNORED}
    labeled = (batch["labels"] != IGNORED).sum().item()
    assert labeled == sum(len(example["input_ids"]) - 1 for example in examples)


def test_padding_counts_are_real_tokens_over_slots():
    """The padding efficiency in the manifest is what the packing is judged by."""
    examples = smoke.examples(4)
    tokens, slots = efficiency(PackingCollator(0, 256)(examples))
    assert tokens == sum(len(example["input_ids"]) for example in examples) and slots % 256 == 0


def test_scores_belong_to_their_own_rows(model):
    """Scores that come back in another order would pair one product's text with another's likelihood."""
    examples = smoke.examples(11)
    sums, counts = answer_nll(model, examples, pad_id=0, row_length=256, rows_per_batch=2)
    assert sums == pytest.approx([alone(model, example).item() for example in examples], rel=1e-4)
    assert counts == [sum(label != IGNORED for label in example["labels"]) for example in examples]
    assert mean_nll(sums, counts) == pytest.approx(sum(sums) / sum(counts))


@pytest.mark.parametrize(
    ("device", "memory", "vocabulary", "rows"),
    [("cpu", 80, 32_000, 8), ("cuda", 14, 32_000, 8), ("cuda", 80, 32_000, 32), ("cuda", 80, 152_000, 8)],
)
def test_a_large_gpu_scores_more_rows_at_once(monkeypatch, device, memory, vocabulary, rows):
    """Small batches leave it waiting for Python; large ones, with a large vocabulary, would not fit its memory."""
    monkeypatch.setattr(hardware, "memory_gib", lambda: memory)
    weight = SimpleNamespace(device=torch.device(device))
    model = SimpleNamespace(parameters=lambda: iter([weight]), config=LlamaConfig(vocab_size=vocabulary))
    assert rows_at_once(model, 512) == rows


def test_scoring_leaves_the_model_in_the_mode_it_found():
    """An evaluation that switched dropout off for good would change the rest of the training."""
    made = load_plain(fetch("tiny:llama"), "float32").train()
    answer_nll(made, smoke.examples(2), pad_id=0, row_length=256)
    assert made.training
