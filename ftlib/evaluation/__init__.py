"""Compare base model, fine-tuned model and baselines on the same rows, with intervals."""
