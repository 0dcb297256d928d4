"""Load base models and tokenizers, and compute the likelihood of texts."""
