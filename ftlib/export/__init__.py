"""Give the model to others: GGUF files, the Hugging Face hub, a model card."""
