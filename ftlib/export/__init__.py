"""Give the model to others: GGUF files, the Hugging Face hub, a model card."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "gguf": ["export"],
        "model_card": ["card", "upload"],
    },
)
