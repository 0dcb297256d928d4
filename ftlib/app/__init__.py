"""The demo: ask both models on a page, in a terminal or in a notebook, and vote."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "model_pair": ["closed_and_open", "load_pair", "print_both", "stream_one", "tells_apart"],
        "notebook_page": ["ask_page"],
        "console": ["print_sources", "tell"],
    },
)
