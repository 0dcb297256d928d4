"""What only a GPU can show: the recorded step and the recorded decode compute what the plain ones do."""

import pytest
import smoke
import torch
from safetensors.torch import load_file

from ftlib.course import record
from ftlib.generation.batched import generate_batch, settings, to_answer
from ftlib.generation.cuda_graph_decoder import Decoder, is_supported
from ftlib.models import packed_attention
from ftlib.models.likelihood import answer_losses
from ftlib.models.loading import load_base, precision
from ftlib.models.segment_attention import layer_attention
from ftlib.prompts.encoding import IGNORED, encode_prompt
from ftlib.prompts.packing import PackedSteps, plan_steps, to_flat
from ftlib.prompts.templates import build_prompt
from ftlib.reporting import notebook_files
from ftlib.training import fine_tuning
from ftlib.training.compiled_step import FixedStep, shared_beginning
from ftlib.training.fine_tuning import add_adapter

pytestmark = [
    pytest.mark.integration,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
ROW = 256


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("variant", ["lora", "dora"])
def test_recorded_step_trains_what_the_plain_step_trains(variant, quantization):
    """A graph that replays a stale B, or attention that sees other examples, trains a worse model at full speed."""
    cfg = smoke.config(**{"model.quantization": quantization, "model.dtype": "bfloat16", "train.bf16": True,
                          "lora.variant": variant})  # fmt: skip
    examples = smoke.examples(24)
    lengths = [len(example["input_ids"]) for example in examples]
    plan = plan_steps(lengths, list(range(24)), 4, ROW)
    rows = PackedSteps(examples, plan, ROW, pad_id=0)
    one_row = [[[index for row in step for index in row]] for step in plan]
    results = []
    for compiled, graph, join, share in (
        (False, False, False, False),
        (True, True, True, False),
        (True, True, True, True),
    ):
        model = add_adapter(load_base(cfg, precision(cfg)), cfg)
        step = FixedStep(model, torch.bfloat16, compiled, graph, join, ROW)
        if not compiled:
            step.layers.mask_dtype = torch.bfloat16
        shared = shared_beginning(model.eval(), to_flat(examples)) if share else 0
        assert bool(shared) == share
        batches = PackedSteps(examples, one_row, 4 * ROW, 0, shared=shared, longest=ROW) if share else rows
        optimizer, losses = torch.optim.AdamW([step.flat.vector], lr=5e-3), []
        for round_ in range(12):
            batch = {name: tensor.cuda() for name, tensor in batches[round_ % (len(batches) - 1)].items()}
            losses.append(step(batch, (batch["labels"] != IGNORED).sum()).item())
            optimizer.step()
        results.append(losses)
    plain, *fast = results
    assert plain[-1] < plain[0] - 0.05
    for losses in fast:
        assert losses == pytest.approx(plain, abs=0.02)


def test_likelihoods_of_one_kernel_are_those_of_masked_rows(monkeypatch):
    """Validation and evaluation score with it: a leak between examples would flatter every model."""
    cfg = smoke.config(**{"model.quantization": "none", "model.dtype": "bfloat16"})
    model, examples = load_base(cfg, precision(cfg)), smoke.examples(24)
    found = []
    for fits in (packed_attention.fits, lambda _: False):
        monkeypatch.setattr(packed_attention, "fits", fits)
        found.append(torch.cat(answer_losses(model, examples, 0, ROW)))
    assert packed_attention.attention_of(model, [1], 0).func is layer_attention
    assert (found[0] - found[1]).abs().mean() < 0.01
    assert found[0].mean().item() == pytest.approx(found[1].mean().item(), rel=1e-3)


def test_samples_leave_a_recorded_training_as_it_is(tmp_path):
    """Answers between two replays that move the graph's random state or memory would train another model."""
    found = []
    for rows in (0, 2):
        cfg = smoke.config(**smoke.FAST, train__sample_rows=rows, train__compile=True, train__bf16=True,
                           model__quantization="none", model__dtype="bfloat16", lora__dropout=0.1)  # fmt: skip
        fine_tuning.train(cfg, smoke.dataset(), tmp_path / str(rows))
        found.append(load_file(tmp_path / str(rows) / "adapter_model.safetensors"))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_recorded_decode_gives_the_tokens_of_generate():
    """A decode that is fast and wrong would be found by no metric: the text would still look like text."""
    model, tok = smoke.sharp_model(), smoke.tokenizer()
    wanted = smoke.config().generation.model_copy(update={"max_new_tokens": 12})
    encoded = [encode_prompt(tok, build_prompt("Kettle " * (n % 7 + 1))) for n in range(20)]
    ends, found = settings(tok, wanted)["eos_token_id"], {}
    assert is_supported(model, wanted)
    Decoder(model, wanted, ends, 4, max(map(len, encoded)), chunk=4).run(encoded, found.update)
    for position, ids in enumerate(encoded):
        assert to_answer(found[position], tok, ends) == generate_batch(model, tok, [ids], wanted)[0]


@pytest.mark.parametrize("path", notebook_files.notebook_paths(), ids=lambda path: path.stem)
def test_every_notebook_runs_on_a_gpu(path, tmp_path):
    """A reader on Colab has one: a tensor that stays on the CPU ends the notebook, and no machine without a GPU shows it."""
    record.execute(notebook_files.read(path), tmp_path, "smoke", notebook_files.ROOT, {})
