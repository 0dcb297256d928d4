"""Load a base model and its tokenizer, in a precision chosen for the machine.

`precision(cfg)` decides dtype and quantization and records a reason for each choice: a 16-bit base, if it fits on the GPU, trains
faster than NF4 and merges exactly. Only safetensors are loaded, and no code from a hub is executed.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from ftlib.config.settings import Config, ConfigError
from ftlib.models import hub_errors
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
    """Resolved precision settings.

    Attributes:
        dtype: of the base model.
        quantization: of the base model, 'nf4' or 'none'.
        fp16: the Trainer's mixed precision.
        bf16: the Trainer's mixed precision.
        reasons: {setting: why}, for each automatic choice.
    """

    dtype: str
    quantization: str
    fp16: bool
    bf16: bool
    reasons: dict[str, str]


def precision(cfg: Config) -> Precision:
    """Choose dtype, mixed precision and quantization for this machine.

    Raises:
        ConfigError: a precision that the user set does not work here.
    """
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
        reasons["train.bf16"] = f"{str(bf16).lower()}: " + ("train.fp16 is set" if fp16 else why)
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
    if distributed.fsdp_requested():
        raise ConfigError(
            "accelerate launch --use_fsdp: ftlib keeps the whole base in every process; launch without --use_fsdp"
        )
    return Precision(dtype, quantization, fp16, bf16, reasons)


def _auto_quantization(cfg: Config) -> tuple[str, str]:
    """Choose 16 bits if base, adapter and activations are estimated to fit in free GPU memory, else NF4."""
    if cfg.lora.r == 0:
        return "none", "none: all weights are trained (lora.r = 0)"
    if hardware.cuda_capability() is None:
        return "nf4", "nf4: on a CPU it trains as fast as 16 bits and uses the same code as on a GPU"
    free, billions = hardware.free_gpu_gib(), count_parameters(cfg.model.name) / 1e9
    # Estimate: the weights; the same again for adapter, optimizer state and activations; 8 GiB for a step's logits and work
    # space. The dry run before training tries the largest step and falls back if it does not fit.
    needed = billions * GIB_PER_BILLION_16BIT * 2 + 8
    if free >= needed:
        return "none", f"none: 16 bits need about {needed:.0f} GiB, {free:.0f} GiB are free, and it is faster than NF4"
    return "nf4", f"nf4: 16 bits would need about {needed:.0f} GiB, {free:.0f} GiB are free"


def load_model_config(name: str):
    """Load the model's transformers config. Raises ModelError if it is unavailable."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(fetch(name), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _refused(name, error, hub_errors.INSTEAD) from error


def _refused(name: str, error: Exception, advice: str) -> ModelError:
    """Return the error for a model that cannot be loaded: the hub's reason, or the error with advice."""
    hub_reason = None if os.path.exists(name) else hub_errors.explain(error, name)
    return ModelError(f"model.name = {hub_reason or f'{name}: {_first_line(error)}; {advice}'}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


@functools.lru_cache(maxsize=4)
def shape_of(name: str):
    """Build the model on PyTorch's meta device: modules and shapes without weights. Raises ModelError."""
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
    """Return the number of weights, computed from the shapes alone."""
    return sum(weight.numel() for weight in shape_of(name).parameters())


def weight_bytes(model) -> int:
    """Return the bytes of a model's weights, including NF4's block constants; tied weights count once."""
    total = 0
    for weight in model.parameters():
        tensors, state = [weight], getattr(weight, "quant_state", None)
        while state is not None:  # double quantization: the constants are quantized too
            tensors += [state.absmax, state.code, *([] if state.offset is None else [state.offset])]
            state = state.state2
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return total


def lora_config(cfg: Config, model):
    """Return `cfg.lora` as PEFT's LoraConfig for this model."""
    from peft import LoraConfig

    return LoraConfig(
        r=cfg.lora.r,
        lora_alpha=cfg.lora.alpha,
        lora_dropout=cfg.lora.dropout,
        target_modules=cfg.lora.target_modules,
        use_dora=cfg.lora.variant == "dora",
        modules_to_save=list(cfg.lora.modules_to_save) or None,  # a copy: peft removes tied modules from the list
        ensure_weight_tying=cfg.lora.tie_saved_modules and bool(getattr(model.config, "tie_word_embeddings", False)),
        task_type="CAUSAL_LM",
    )


def check_model(cfg: Config) -> None:
    """Reject settings that do not fit the model's config, before weights are loaded. Raises ConfigError."""
    tied = getattr(load_model_config(cfg.model.name), "tie_word_embeddings", False)
    saved = set(cfg.lora.modules_to_save) & {"lm_head", "embed_tokens"}
    if tied and saved and not cfg.lora.tie_saved_modules:
        raise ConfigError(
            f"lora.modules_to_save = {cfg.lora.modules_to_save}: {cfg.model.name} ties its embeddings, and two separate copies "
            "would be trained; allowed are [] or lora.tie_saved_modules=true"
        )


def load_tokenizer(name: str):
    """Load the tokenizer, with a pad token and padding on the right.

    EOS and pad are set here because releases of transformers read different ones from a converted GGUF file. Padding with EOS is
    harmless: labels are built by length, never by token id (see `prompts.encoding`).

    Raises:
        ModelError: the tokenizer cannot be loaded or has no chat template.
    """
    from transformers import AutoTokenizer

    load_model_config(name)  # its error for an unavailable model is clearer
    try:
        tokenizer = AutoTokenizer.from_pretrained(fetch(name), trust_remote_code=False)
    except FtlibError:
        raise
    except Exception as error:  # damaged files and missing converters raise errors without a common class
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
    # transformers warns once of a text above model_max_length; `encode_example` truncates texts to train.max_length itself
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    tokenizer.padding_side = "right"
    tokenizer.clean_up_tokenization_spaces = False  # the default removes spaces from decoded text
    return tokenizer


def _device(requested: str | None) -> str:
    """Return the device for a model, after applying the GPU memory limit."""
    hardware.limit_gpu_memory()
    return requested or hardware.device()


def load_plain(path: str, dtype: str, device: str | None = None):
    """Load a folder or hub id in one dtype ('float32', 'bfloat16', 'float16'), in evaluation mode."""
    return _load(path, dtype).to(_device(device)).eval()


def load_nf4(path: str, dtype: str, device: str | None = None):
    """Load a model in 4-bit NormalFloat with double quantization, in evaluation mode.

    It computes in `dtype`. Source: Dettmers et al. 2023 (QLoRA).
    """
    import torch
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    device = _device(device)
    model = _load(path, dtype, quantization_config=quantization, device_map={"": device})
    if device == "cpu":
        from ftlib.models.nf4_on_cpu import dequantize_once

        dequantize_once(model)
    return model.eval()


def _load(path: str, dtype: str, **options):
    """Load a model.

    Raises:
        ModelError: files are damaged, or weights are missing (transformers would initialize them at random).
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            path,
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
        raise _refused(path, error, "its weights cannot be loaded; download or save the model again") from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{path}: {len(missing)} weights are missing, {missing[0]} among them; download or save the model again"
        )
    drop_unused_sampling(model.generation_config)
    if model.generation_config is not None:
        model.generation_config.max_length = None  # TinyLlama's 2048: with our max_new_tokens every answer would warn
    return model


def drop_unused_sampling(generation_config) -> None:
    """Remove sampling values if do_sample is off; transformers refuses to save such a config."""
    if generation_config is not None and not generation_config.do_sample:
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
            if hasattr(generation_config, name):
                setattr(generation_config, name, None)


def load_base(cfg: Config, chosen: Precision):
    """Load the base model for training: NF4 or 16 bits, frozen."""
    path = fetch(cfg.model.name)
    model = load_nf4(path, chosen.dtype) if chosen.quantization == "nf4" else load_plain(path, chosen.dtype)
    model.requires_grad_(False)
    model.config.use_cache = False  # with a cache, transformers ignores the segments of packed rows
    return model
