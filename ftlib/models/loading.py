"""Load a base model and its tokenizer in the right precision, and say in words why it is the right one.

What: `precision(cfg)` decides dtype and quantisation; `load_base(cfg)` loads for training, `load_plain` in 16 or 32 bits.
Why: the reference forced fp16 and NF4 everywhere; on a GPU with room, a 16-bit base trains faster and merges exactly.
Weights are safetensors only and no code from a hub is ever run.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from ftlib.config.settings import Config, ConfigError
from ftlib.models import fsdp, hub_errors
from ftlib.models.base_models import ModelError, fetch
from ftlib.prompts.encoding import end_of_turn_id
from ftlib.runtime import distributed, hardware
from ftlib.runtime.errors import FtlibError

GIB_PER_BILLION_16BIT = 2e9 / 2**30
SUPPORTED = (
    "models of linear layers with SDPA attention and a chat template, such as Llama, Mistral, Qwen, Phi-3, Gemma 3"
)


@dataclass(frozen=True)
class Precision:
    """What `auto` came to. `dtype` and `quantization` are the base's; fp16 and bf16 are the Trainer's mixed precision."""

    dtype: str
    quantization: str
    fp16: bool
    bf16: bool
    reasons: dict[str, str]


def precision(cfg: Config) -> Precision:
    """Decide precision and quantisation for this machine; `reasons` has a sentence for each automatic choice."""
    fast, why = hardware.compute_dtype()
    reasons = {}
    dtype = cfg.model.dtype
    if dtype == "auto":
        dtype = fast
        reasons["model.dtype"] = f"{dtype}: {why}"
    fp16, bf16 = cfg.train.fp16, cfg.train.bf16
    on_gpu = hardware.cuda_capability() is not None
    if fp16 and not on_gpu:
        raise ConfigError(
            "train.fp16 = true: float16 training needs a CUDA GPU (there is none here); leave train.fp16 unset"
        )
    if dtype == "float16" and not on_gpu:
        raise ConfigError(
            "model.dtype = float16: training with a float16 base needs a CUDA GPU (there is none here); use auto or float32"
        )
    if bf16 is None:
        bf16 = not fp16 and fast == "bfloat16"
        reasons["train.bf16"] = f"{str(bf16).lower()}: " + ("train.fp16 was asked for" if fp16 else why)
    if fp16 is None:
        fp16 = not bf16 and on_gpu
        reasons["train.fp16"] = f"{str(fp16).lower()}: " + ("bfloat16 is used" if bf16 else why)
    quantization = cfg.model.quantization
    if quantization == "auto":
        quantization, reasons["model.quantization"] = _auto_quantization(cfg)
    if cfg.lora.r == 0 and quantization != "none":
        raise ConfigError(
            f"model.quantization = {quantization}: lora.r = 0 trains all weights, which 4 bits cannot hold; set it to none"
        )
    if distributed.sharded():
        fsdp.check(cfg, quantization)
    return Precision(dtype, quantization, fp16, bf16, reasons)


def _auto_quantization(cfg: Config) -> tuple[str, str]:
    """16-bit when base, adapter and activations should fit in the free GPU memory, else NF4."""
    if cfg.lora.r == 0:
        return "none", "none: all weights are trained (lora.r = 0)"
    if distributed.sharded():
        return "none", "none: the base is spread over several GPUs, which 4-bit weights cannot be"
    if hardware.cuda_capability() is None:
        return "nf4", "nf4: on a CPU it trains as fast as 16 bits and walks the very path that a GPU walks"
    free, billions = hardware.free_gpu_gib(), count_parameters(cfg.model.name) / 1e9
    # A rule of thumb: the weights; as much again for what grows with them (adapter, its optimiser, activations); 8 GiB for a
    # step's logits and work space. Training has the last word: `probe` tries the largest step and says what it gave up.
    needed = billions * GIB_PER_BILLION_16BIT * 2 + 8
    if free >= needed:
        return "none", f"none: 16 bits need about {needed:.0f} GiB, {free:.0f} GiB are free, and it is faster than NF4"
    return "nf4", f"nf4: 16 bits would need about {needed:.0f} GiB, {free:.0f} GiB are free"


def load_model_config(name: str):
    """The model's transformers config (a small file). Raises ModelError with what to do when it cannot be had."""
    from transformers import AutoConfig

    place = fetch(name)
    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _refused(name, error, hub_errors.INSTEAD) from error


def _refused(name: str, error: Exception, advice: str) -> ModelError:
    """Return what to raise for a model that cannot be loaded: what the hub said, or the error with advice."""
    said = None if os.path.exists(name) else hub_errors.explain(error, name)
    return ModelError(f"model.name = {said or f'{name}: {_first_line(error)}; {advice}'}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


@functools.lru_cache(maxsize=4)
def shape_of(name: str):
    """Build the model on PyTorch's meta device: modules and shapes, no weights. Raises ModelError."""
    import torch
    from transformers import AutoModelForCausalLM

    config = load_model_config(name)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    except (ValueError, ImportError, AttributeError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model.name = {name}: a {config.model_type} model cannot be built here ({reason}); supported are {SUPPORTED}"
        ) from error


def count_parameters(name: str) -> int:
    """Return the number of weights, from the shapes alone."""
    return sum(weight.numel() for weight in shape_of(name).parameters())


def weight_bytes(model) -> int:
    """Bytes that a model's weights take, those of NF4 with the constants of their blocks; a tied weight counts once."""
    total = 0
    for weight in model.parameters():
        parts, state = [weight], getattr(weight, "quant_state", None)
        while state is not None:  # double quantisation: the constants have constants
            parts += [state.absmax, state.code, *([] if state.offset is None else [state.offset])]
            state = state.state2
        total += sum(part.numel() * part.element_size() for part in parts)
    return total


def lora_config(cfg: Config, model):
    """Return `cfg.lora` as PEFT's LoraConfig for this model."""
    from peft import LoraConfig

    return LoraConfig(
        r=cfg.lora.r,
        lora_alpha=cfg.lora.alpha,
        lora_dropout=cfg.lora.dropout,
        target_modules=cfg.lora.target_modules,
        modules_to_save=list(cfg.lora.modules_to_save) or None,  # a copy: peft takes tied modules out of its list
        ensure_weight_tying=cfg.lora.tie_saved_modules and bool(getattr(model.config, "tie_word_embeddings", False)),
        task_type="CAUSAL_LM",
    )


def check_model(cfg: Config) -> None:
    """Refuse combinations that only the model itself reveals, before anything heavy is loaded. Raises ConfigError."""
    tied = getattr(load_model_config(cfg.model.name), "tie_word_embeddings", False)
    saved = set(cfg.lora.modules_to_save) & {"lm_head", "embed_tokens"}
    if tied and saved and not cfg.lora.tie_saved_modules:
        raise ConfigError(
            f"lora.modules_to_save = {cfg.lora.modules_to_save}: {cfg.model.name} ties its embeddings, and two separate copies "
            "would be trained; allowed are [] or lora.tie_saved_modules=true"
        )


def load_tokenizer(name: str):
    """The tokenizer with a pad token and padding on the right. Raises ModelError if it has no chat template.

    EOS and pad are set here because releases of transformers read them differently out of a converted GGUF file. Padding
    with EOS is harmless: labels are built by length, never by token id (see `prompts`).
    """
    from transformers import AutoTokenizer

    load_model_config(name)  # a clear error if the model is not to be had
    try:
        tokenizer = AutoTokenizer.from_pretrained(fetch(name), trust_remote_code=False)
    except FtlibError:
        raise
    except Exception as error:  # whatever a damaged file or a missing converter raises
        raise _refused(
            name, error, "its tokenizer cannot be loaded; it needs tokenizer.json and tokenizer_config.json"
        ) from error
    if not tokenizer.chat_template:
        raise ModelError(f"model.name = {name}: its tokenizer has no chat template; use an instruction-tuned model")
    if "SmolLM2" in name:
        tokenizer.eos_token = "<|im_end|>"
    if tokenizer.pad_token_id is None or "SmolLM2" in name:
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else end_of_turn_id(tokenizer)
        tokenizer.pad_token = None if end is None else tokenizer.convert_ids_to_tokens(end)
    tokenizer.padding_side = "right"
    tokenizer.clean_up_tokenization_spaces = False  # its default would take spaces out of decoded answers
    return tokenizer


def _device(asked: str | None) -> str:
    """Where a model goes; the cap on the GPU's memory is in force from here on."""
    hardware.limit_gpu_memory()
    return asked or hardware.device()


def load_plain(place: str, dtype: str, device: str | None = None):
    """A model folder or hub id in one dtype ('float32', 'bfloat16', 'float16'), in evaluation mode, on the device."""
    return _load(place, dtype).to(_device(device)).eval()


def load_nf4(place: str, dtype: str, device: str | None = None):
    """The base in 4-bit NormalFloat with double quantization (Dettmers et al. 2023, QLoRA), computing in `dtype`."""
    import torch
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    model = _load(place, dtype, quantization_config=quantization, device_map={"": _device(device)})
    keep_nf4_on_cpu(model)
    return model.eval()


def _load(place: str, dtype: str, **options):
    """Load a model. Raises ModelError if files are damaged or weights are missing, which would be drawn at random."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            place,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise _refused(place, error, "its weights cannot be loaded; download or save the model again") from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{place}: {len(missing)} weights are missing, {missing[0]} among them; download or save the model again"
        )
    drop_unused_sampling(model.generation_config)
    return model


def drop_unused_sampling(generation_config) -> None:
    """Remove sampling values that have no effect because do_sample is off; transformers refuses to save such a config."""
    if generation_config is not None and not generation_config.do_sample:
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
            if hasattr(generation_config, name):
                setattr(generation_config, name, None)


def keep_nf4_on_cpu(model) -> None:
    """Keep bitsandbytes from repacking the NF4 weights when an evaluation begins on a CPU with AVX512-BF16.

    The repacking is lossy, so training would go on with another base than it began with, and an interrupted run would not
    end where an unbroken one does.
    """
    import bitsandbytes as bnb

    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def load_base(cfg: Config, chosen: Precision):
    """The base model as training uses it: NF4 or 16 bits, frozen."""
    place = fetch(cfg.model.name)
    if distributed.sharded():
        model = fsdp.load(place, chosen.dtype)
    else:
        model = load_nf4(place, chosen.dtype) if chosen.quantization == "nf4" else load_plain(place, chosen.dtype)
    model.requires_grad_(False)
    model.config.use_cache = False  # packing needs it off, and training has no use for a cache
    return model
