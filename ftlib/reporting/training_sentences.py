"""Offer the sentences of notebooks 01 to 03: what data, loss and training show, computed from the result beside them.

Each function returns the sentence that fits its numbers, in both directions, so that another recording gives another
sentence instead of a false one. Values are formatted there; the notebooks' own text holds no number of a run. The
functions stand in modules by subject; a notebook imports them from here.
"""

from __future__ import annotations

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    "ftlib.reporting",
    {
        "data_sentences": [
            "about_rows",
            "about_losses",
            "about_near",
            "about_leaks",
            "about_lengths",
            "about_two_answers",
        ],
        "encoding_sentences": [
            "about_end_labels",
            "about_prompt_loss",
            "about_effect",
            "about_bos",
            "about_truncation",
            "about_packing",
            "about_mask",
            "about_perplexity",
        ],
        "run_sentences": [
            "about_levels",
            "about_rounded",
            "about_learned",
            "about_base_size",
            "about_curve",
            "about_coverage",
            "about_memory",
            "about_same_loss",
            "about_start",
            "diagnose",
            "about_gallery",
            "text_while_training",
            "losses",
            "about_speed",
        ],
    },
)
