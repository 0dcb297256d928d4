"""Generate completions in batches, with a CUDA graph where the GPU allows it."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "batched": ["answer_prompts", "settings", "stream_answer"],
    },
)
