"""Build prompts, encode them as token ids and labels, and pack examples into fixed-length rows."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "templates": ["PREFIX", "QUESTIONS", "build_prompt", "build_target"],
        "encoding": [
            "IGNORED",
            "Example",
            "encode_answer",
            "encode_example",
            "encode_prompt",
            "encode_rows",
            "end_of_turn_id",
            "render_labels",
        ],
        "packing": ["PackingCollator", "PaddingCollator", "pack"],
    },
)
