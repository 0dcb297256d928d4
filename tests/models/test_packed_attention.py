"""Packed rows on a CPU, computed example by example, and logits at labeled positions only."""

import copy

import flash_attention
import pytest
import smoke
import torch

from ftlib.models import packed_attention, segment_attention
from ftlib.models.likelihood import answer_loss, logits_only_at, predicting
from ftlib.prompts.packing import PackingCollator, PaddingCollator
from ftlib.training.fine_tuning import add_adapter


@pytest.fixture
def model():
    """A tiny model with an adapter that is not zero, so that every weight has a gradient."""
    model = add_adapter(copy.deepcopy(smoke.sharp_model()).float().requires_grad_(False), smoke.config())
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model.train()


@pytest.fixture
def batch():
    """A packed batch of several rows, with padding."""
    batch = PackingCollator(smoke.tokenizer().pad_token_id, 256)(smoke.examples(9))
    assert len(batch["input_ids"]) > 1 and (batch["owners"] < 0).any()
    return batch


def alike(batch) -> int:
    """The tokens with which all examples of a batch begin; they end in the title."""
    owners = [owner for owner in batch["owners"].unique().tolist() if owner >= 0]
    examples = [batch["input_ids"][batch["owners"] == owner].tolist() for owner in owners]
    count = next(n for n, tokens in enumerate(zip(*examples, strict=False)) if len(set(tokens)) > 1)
    assert 20 < count < min(map(len, examples))
    return count


def loss_and_gradients(model, batch, labeled_only: bool = False):
    """Loss of a batch and the gradient of each trained weight."""
    model.zero_grad()
    positions = predicting(batch["labels"]) if labeled_only else torch.ones_like(batch["labels"], dtype=torch.bool)
    with logits_only_at(model, positions):
        logits = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    loss = answer_loss(logits if labeled_only else logits.unflatten(0, positions.shape), batch["labels"])
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    return loss.item(), gradients


@pytest.mark.parametrize("short", [512, 0, "one kernel"])
@pytest.mark.parametrize("begin", ["alike", "differently"])
def test_example_by_example_gives_loss_and_gradients_of_the_masked_rows(model, batch, monkeypatch, short, begin):
    """A faster attention that lets examples see each other, or forgets some, would train another model."""
    if short == "one kernel":  # as on a GPU

        def attention_of(model, sizes, shared):
            return packed_attention.one_kernel(model.get_input_embeddings().weight, sizes, shared)

        monkeypatch.setattr(packed_attention, "attention_of", attention_of)
        monkeypatch.setattr(segment_attention, "varlen", flash_attention.example_after_example)
    else:
        monkeypatch.setattr(packed_attention, "SHORT", short)  # 0: all examples count as long
    if begin == "differently":
        batch["input_ids"][batch["position_ids"] == 0] += batch["owners"][batch["position_ids"] == 0].clamp(min=0)
    expected, expected_gradients = loss_and_gradients(model, batch)
    with packed_attention.example_by_example(model, batch) as one_row:
        saved = int((batch["owners"] >= 0).sum()) - one_row["input_ids"].shape[1]
        assert saved == (8 * alike(batch) if begin == "alike" else 0)  # of nine examples
        assert model.config._attn_implementation == packed_attention.ATTENTION
        loss, gradients = loss_and_gradients(model, one_row, labeled_only=True)
    assert model.config._attn_implementation == "sdpa"
    assert loss == pytest.approx(expected, rel=1e-5)
    for name, gradient in expected_gradients.items():
        assert gradient.abs().max() > 0
        assert (gradients[name] - gradient).abs().max() < 1e-4 * gradient.abs().max(), name


def test_tokens_are_shared_up_to_the_last_one_before_a_label():
    """The first label of an example is predicted from its own last token; from a shared one it would be lost."""
    assert packed_attention.shared_tokens([[1, 2, 3, 4], [1, 2, 3, 5]], [3, 3]) == 2
    assert packed_attention.shared_tokens([[1, 2, 3, 4, 6], [1, 2, 5, 4, 6]], [4, 4]) == 2
    assert packed_attention.shared_tokens([[1, 2, 3], [1, 2, 3]], [0, 2]) == 0  # trained on every token
    assert packed_attention.shared_tokens([[1, 2, 3]], [2]) == 0 and packed_attention.shared_tokens([], []) == 0


def test_examples_that_are_trained_with_dropout_share_nothing(model, batch):
    """They would share the tokens that are dropped, too."""
    layer = next(module for module in model.modules() if hasattr(module, "lora_dropout"))
    layer.lora_dropout["default"] = torch.nn.Dropout(0.1)
    tokens = int((batch["owners"] >= 0).sum())
    with packed_attention.example_by_example(model.train(), batch) as row:
        assert row["input_ids"].shape == (1, tokens)
    with packed_attention.example_by_example(model.eval(), batch) as row:
        assert row["input_ids"].shape[1] < tokens


def test_logits_at_labeled_positions_are_those_of_all_positions(model, batch):
    """The loss would be that of other tokens."""
    inputs, positions = {key: batch[key] for key in ("input_ids", "position_ids")}, predicting(batch["labels"])
    with torch.no_grad():
        everywhere = model(**inputs, use_cache=False).logits
        with logits_only_at(model, positions):
            labeled = model(**inputs, use_cache=False).logits
        assert torch.allclose(labeled, everywhere[positions], atol=1e-5)
        assert model(**inputs, use_cache=False).logits.shape == everywhere.shape, "the hook must be gone"


def test_attention_is_switched_back_after_an_error(model, batch):
    """Completions during training would be computed without their mask."""
    with pytest.raises(KeyError), packed_attention.example_by_example(model, batch):
        raise KeyError
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("reason", ["padded", "window", "checkpointing", "family"])
def test_what_does_not_fit_is_left_as_it_is(model, batch, monkeypatch, reason):
    """A window of attention would be ignored; a forward pass that is repeated later would run without any mask."""
    if reason == "padded":
        batch = PaddingCollator(0)(smoke.examples(3))
    elif reason == "window":
        monkeypatch.setattr(model.config, "sliding_window", 64, raising=False)
    elif reason == "checkpointing":
        model.gradient_checkpointing_enable()
    else:
        monkeypatch.setattr(model.config, "model_type", "gemma3_text")
    with packed_attention.example_by_example(model, batch) as yielded:
        assert yielded is batch and model.config._attn_implementation == "sdpa"
