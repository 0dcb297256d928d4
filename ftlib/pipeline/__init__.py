"""The stages in their order: what each depends on, when it is reused, how it is built."""
