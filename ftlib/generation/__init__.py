"""Generate completions in batches, with a CUDA graph where the GPU allows it."""
