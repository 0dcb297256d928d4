"""Load base models and tokenizers, and compute the likelihood of texts."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "base_models": ["build_tiny", "fetch", "sample_texts", "train_tokenizer"],
        "loading": ["count_parameters", "load_base", "load_nf4", "load_plain", "load_tokenizer", "precision"],
        "likelihood": ["answer_loss", "answer_losses", "answer_nll", "mean_nll"],
    },
)
