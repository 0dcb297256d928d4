"""Offer the sentences of notebooks 04 to 06 that read a result, so that no re-recording can contradict its text.

Each function takes what a cell has computed and returns the sentence that fits, in either direction. `Sentence` is a
string that a notebook shows as a paragraph, which wraps on a phone. The functions stand in modules by subject; a notebook
imports them from here.
"""

from __future__ import annotations

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    "ftlib.reporting",
    {
        "asking_sentences": [
            "REFUSAL",
            "about_model",
            "about_answers",
            "about_refusal",
            "about_wordings",
            "about_reading",
            "about_knowledge",
            "about_invented",
        ],
        "interval_sentences": ["about_rows", "about_small", "about_draws", "unpaired_width", "about_pairing"],
        "merging_sentences": [
            "merge_ways",
            "signed",
            "about_merge",
            "about_dtype",
            "about_proof",
            "about_export",
            "about_sizes",
        ],
        "metric_sentences": [
            "NAMES",
            "about_lookup",
            "about_copy",
            "about_reference",
            "about_stops",
            "about_memory",
            "about_comparisons",
            "metric_definitions",
            "about_copying",
            "about_numbers",
            "about_retention",
        ],
        "retrieval_sentences": ["about_retrieval", "about_marks", "mark_examples", "about_threshold", "about_support"],
        "sentence_parts": ["Sentence", "recorded", "width"],
    },
)
