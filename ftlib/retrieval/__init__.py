"""Retrieve catalog rows by title and question, and attribute sentences to them."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "bm25_index": ["Index", "Source"],
        "nearest_title": ["Nearest"],
        "attribution": ["mark", "supporting_sentences"],
    },
)
