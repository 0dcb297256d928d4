"""Shard the frozen base over several GPUs (FSDP2) and replicate the adapter on each.

Each process stores a shard of every layer, and a layer is gathered only while it computes: slower, but the memory of the base is
divided by the number of GPUs. This does not use accelerate's FSDP, which loads the full base in every process first, shards the
adapter too, and does nothing without a GPU. Here transformers shards while it reads the file; the adapter stays an ordinary
tensor in each process, so gradients, checkpoints, resuming and saving work as in data-parallel training. Run it with
`accelerate launch --use_fsdp --num_processes 2 -m ftlib train --set model.quantization=none`. Sources:
torch.distributed.fsdp.fully_shard; DistributedConfig in the documentation of transformers.
"""

from __future__ import annotations

from ftlib.config.settings import Config, ConfigError
from ftlib.runtime import distributed, hardware, provenance
from ftlib.runtime.console import log

HERE = "a sharded base was requested (--use_fsdp)"


def check(cfg: Config, quantization: str) -> None:
    """Check that the settings allow a sharded base. Raises ConfigError."""
    from transformers.distributed.configuration_utils import DistributedConfig

    if quantization != "none":
        raise ConfigError(
            f"model.quantization = {quantization}: {HERE}, and only 16-bit weights can be sharded; set it to none"
        )
    if cfg.lora.r == 0:
        raise ConfigError(f"lora.r = 0: {HERE}, and sharded weights stay frozen; train an adapter (lora.r=32)")
    if cfg.lora.modules_to_save:
        raise ConfigError(
            f"lora.modules_to_save = {cfg.lora.modules_to_save}: {HERE}, and its layers cannot be copied; set []"
        )
    if "fsdp_size" not in DistributedConfig.__dataclass_fields__:
        version = provenance.versions()["transformers"]
        raise ConfigError(
            f"{HERE}, which transformers {version} cannot load: install a newer one (constraints.txt has one)"
        )


def load(path: str, dtype: str):
    """Load the base in one dtype ('bfloat16', ...), sharded: each process gets a part of every weight.

    Raises:
        ConfigError: transformers has no sharding plan for this model type.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.distributed.configuration_utils import DistributedConfig

    distributed.join()
    hardware.limit_gpu_memory()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
            distributed_config=DistributedConfig(fsdp_size=distributed.world()),
        )
    except ValueError as error:  # transformers has no sharding plan for this model type
        raise ConfigError(
            f"{HERE}: {str(error).splitlines()[0]} Train without --use_fsdp, or use another model"
        ) from error
    total = sum(weight.numel() for weight in model.parameters())
    local = sum(weight.to_local().numel() for weight in model.parameters())
    log.info(f"  note: the base is sharded over {distributed.world()} processes, {local / total:.0%} of it in each")
    # With this flag the Trainer refuses to resume, because sharded trainable weights need sharded checkpoints. Here the shards
    # are frozen, and the trainable weights are replicated.
    model._is_distributed_loading_by_transformers = False
    return model.eval()


def trainable_state_dict(model) -> dict | None:
    """Return the trainable weights if the base is sharded, else None: `save_pretrained`'s `state_dict`.

    PEFT would gather the full base before it selects the adapter, a collective that the processes which do not save never join.
    """
    return {name: w for name, w in model.named_parameters() if w.requires_grad} if distributed.sharded() else None


def exclude_base_from_ddp(model) -> None:
    """Exclude the sharded base from DistributedDataParallel, which does not support sharded weights."""
    from torch.nn.parallel import DistributedDataParallel

    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, frozen)
