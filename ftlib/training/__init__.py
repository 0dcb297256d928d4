"""Fine-tune with LoRA or QLoRA."""
