"""A base that does not fit in one GPU: spread over all of them while it is loaded (FSDP2), with a whole adapter on each.

Why: with several GPUs every process holds the whole base. Sharded, each holds a part of every layer, and the layer that computes
is put together just then and let go again: slower, but the memory for the base is divided by the number of GPUs. Why not
accelerate's FSDP: it loads the whole base in every process first, shards the adapter too, and does nothing without a GPU. Here
transformers shards while it reads the file; the adapter is small, so it stays an ordinary tensor in each process, and gradients,
checkpoints, resuming and saving are those of any training with several processes.
How: accelerate launch --use_fsdp --num_processes 2 -m ftlib train --set model.quantization=none
Sources: torch.distributed.fsdp.fully_shard; DistributedConfig in the documentation of transformers.
"""

from __future__ import annotations

from ftlib.config.settings import Config, ConfigError
from ftlib.runtime import distributed, hardware, provenance
from ftlib.runtime.console import log

HERE = "the launcher asks for a sharded base (--use_fsdp)"


def check(cfg: Config, quantization: str) -> None:
    """Refuse what a sharded base cannot be. Raises ConfigError with what to set."""
    from transformers.distributed.configuration_utils import DistributedConfig

    if quantization != "none":
        raise ConfigError(
            f"model.quantization = {quantization}: {HERE}, and only 16-bit weights can be; set it to none"
        )
    if cfg.lora.r == 0:
        raise ConfigError(f"lora.r = 0: {HERE}, and what is sharded stays frozen; train an adapter (lora.r=32)")
    if cfg.lora.modules_to_save:
        raise ConfigError(
            f"lora.modules_to_save = {cfg.lora.modules_to_save}: {HERE}, and copies of its parts cannot; set []"
        )
    if "fsdp_size" not in DistributedConfig.__dataclass_fields__:
        found = provenance.versions()["transformers"]
        raise ConfigError(
            f"{HERE}, which transformers {found} cannot load: install a newer one (constraints.txt has one)"
        )


def load(place: str, dtype: str):
    """The base in one dtype ('bfloat16', ...), each process with its part of every weight. Raises ConfigError."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.distributed.configuration_utils import DistributedConfig

    distributed.join()
    hardware.limit_gpu_memory()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            place,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
            distributed_config=DistributedConfig(fsdp_size=distributed.world()),
        )
    except ValueError as error:  # a family for which transformers has no plan
        raise ConfigError(
            f"{HERE}: {str(error).splitlines()[0]} Train without --use_fsdp, or use another model"
        ) from error
    whole = sum(weight.numel() for weight in model.parameters())
    here = sum(weight.to_local().numel() for weight in model.parameters())
    log.info(f"  note: the base is spread over {distributed.world()} processes, {here / whole:.0%} of it in each")
    # The Trainer would refuse to resume, because weights that are trained in parts need checkpoints of another kind. Here the
    # parts are frozen, and what is trained is whole in every process.
    model._is_distributed_loading_by_transformers = False
    return model.eval()


def trainable_state_dict(model) -> dict | None:
    """What `save_pretrained` is to save: with a sharded base the trainable weights, else None, which means: look for yourself.

    PEFT would put the whole base together before it picks out the adapter, and wait for processes that do not save.
    """
    return {name: w for name, w in model.named_parameters() if w.requires_grad} if distributed.sharded() else None


def exclude_base_from_ddp(model) -> None:
    """Tell the wrapper that adds gradients up (DDP) to pass over the sharded base: it expects whole weights."""
    from torch.nn.parallel import DistributedDataParallel

    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, frozen)
