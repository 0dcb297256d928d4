"""The workshop: what makes and checks the course itself. Nothing at the top of `ftlib` imports from here."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "notebook": ["open_run", "report_environment", "show_labels", "show_source"],
    },
)
