"""The fused step gives the logits of transformers' own layers; on a GPU, because Triton compiles for nothing else."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ftlib.generation import cuda_graph_decoder, fused_layers
from ftlib.generation.cuda_graph_decoder import Decoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")]
SHAPE = {"vocab_size": 97, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}  # fmt: skip


def model_of(family: str, dtype=torch.float32):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SHAPE), dtype=dtype).cuda().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("family", cuda_graph_decoder.MODEL_TYPES)
def test_fused_step_gives_the_logits_of_transformers(family, settings):
    """A norm or a bias left out in one family would change every description on a GPU and none on a CPU."""
    model, ids = model_of(family), torch.randint(0, 97, (3, 12), device="cuda")
    with torch.no_grad():
        expected = model(ids).logits
        wanted = settings().generation.model_copy(update={"max_new_tokens": 8, "repetition_penalty": 1.0})
        decoder = Decoder(model, wanted, [], 3, 5, graph=True)
        decoder._admit([0, 1, 2], ids[:, :5].tolist())
        for place in range(5, 12):
            decoder.tokens.copy_(ids[:, place])
            decoder.mask.index_fill_(3, decoder.ring.cursor, 0.0)
            assert torch.allclose(decoder._logits(), expected[:, place], atol=1e-4)
            decoder.positions.add_(1)
            decoder.ring.cursor.add_(1)


def test_the_model_computes_as_before_with_joined_weights():
    """Prefill and likelihood run transformers' own layers on the same weights."""
    model, ids = model_of("qwen2"), torch.randint(0, 97, (2, 9), device="cuda")
    with torch.no_grad():
        before = model(ids).logits
        assert fused_layers.fits(model) and fused_layers.fused_layers(model) is fused_layers.fused_layers(model)
        assert torch.equal(model(ids).logits, before)
