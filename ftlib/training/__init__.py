"""Fine-tune with LoRA or QLoRA."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "fine_tuning": ["add_adapter", "build_trainer", "save_adapter", "train"],
        "lora_math": ["even_round_trip", "lora_pair", "memory_parts", "nf4_round_trip"],
        "trained_rows": ["trained_uids"],
        "trainer": ["Progress"],
    },
)
