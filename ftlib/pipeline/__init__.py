"""The stages in their order: what each depends on, when it is reused, how it is built."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "stage": ["Run"],
        "stages": ["default_run", "ensure", "load_dataset"],
        "run_admin": ["list_runs", "size_mb"],
    },
)
