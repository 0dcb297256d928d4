"""The demo: what a reader types into. Nothing at the top of `ftlib` imports from here."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "model_pair": ["closed_and_open", "load_pair", "print_both", "stream_one", "tells_apart"],
        "notebook_page": ["ask_page"],
        "console": ["print_sources", "tell"],
    },
)
