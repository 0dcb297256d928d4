"""What makes and checks the course itself, and what its notebooks call."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "notebook": ["open_run", "report_environment", "show_labels", "show_source"],
    },
)
