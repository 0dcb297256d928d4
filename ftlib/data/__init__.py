"""Turn a raw file of product rows into a cleaned, deduplicated and split data set."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "raw_reader": ["Malformed", "Row", "open_raw", "read_rows"],
        "file_search": ["data_path", "on_sample"],
        "cleaning": ["clean_text", "normalize", "steps_of", "unescape", "whitespace"],
        "dataset": ["prepare"],
        "splits": ["group_rows"],
        "lexical": ["numbers", "unsupported", "words"],
        "exploration": ["adult_titles", "before_and_after", "leaks", "padded_positions", "token_lengths"],
    },
)
