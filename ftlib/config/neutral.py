"""Which settings a fingerprint leaves out, so that results from before a setting existed are reused.

A new setting with a neutral value changes nothing; in the fingerprint it would make every older stage stale. The table
is the one place that decides this: `pipeline.stages` and `study.study_data` call `effective`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.prompts.templates import PREFIX, TEMPLATE

# {key: the value with which everything is as before the key existed}
NEUTRAL: dict[str, Any] = {
    "data.columns.uid": "uid",
    "data.columns.title": "title",
    "data.columns.content": "content",
    "data.use_damaged": False,
    "prompt.template": TEMPLATE,
    "prompt.prefix": PREFIX,
    "lora.variant": "lora",
    "train.context_rows": 0,
    "generation.candidates": 1,
    "generation.penalize_prompt": True,
}
# {key: the settings that have no effect while the key has its neutral value}
DEPENDENT: dict[str, str] = {"train.context_rows": "train.context_"}
# what is shown or written beside the results: no value of these changes a result
WITHOUT_EFFECT: tuple[str, ...] = ("train.report_to", "train.sample_rows")


def effective(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a fingerprint is computed from. settings: {dotted key: value}."""
    neutral = [key for key, value in NEUTRAL.items() if settings.get(key) == value]
    left_out = tuple(DEPENDENT[key] for key in neutral if key in DEPENDENT)
    return {
        key: value
        for key, value in settings.items()
        if key not in WITHOUT_EFFECT and key not in neutral and not (left_out and key.startswith(left_out))
    }
