"""Decide from an interval, a metric's direction and the seeds whether a difference is shown."""

from __future__ import annotations

from ftlib.evaluation.metric_table import BETTER


def seed_range(split: dict, name: str, system: str = "tuned", other: str | None = None) -> tuple[float, float] | None:
    """Return the lowest and highest of the seeds' means (medians) of a metric, or of their differences to `other`.

    The interval over rows does not cover other trainings. A handful of seeds is too few to resample, and with three
    seeds a t interval has two degrees of freedom, so the range is shown instead.
    """
    values = []
    for seed in split.get("seeds", {}).values():
        mean, other_mean = (_of_seed(split, seed, each, name) for each in (system, other))
        if mean is None or (other is not None and other_mean is None):
            return None
        values.append(mean - (other_mean or 0.0))
    return (min(values), max(values)) if len(values) > 1 else None


def seeds_agree(split: dict, name: str, system: str, other: str) -> bool:
    """Return whether every seed shows what their mean shows: the same sign, or the same side nearer to the reference."""
    if BETTER[name] != "reference":
        difference_range = seed_range(split, name, system, other)
        return difference_range is None or not difference_range[0] <= 0 <= difference_range[1]
    reference, systems = split.get("reference", {}).get(name), split.get("systems", {})
    seeds = seed_range(split, name, system)
    if reference is None or seeds is None or name not in systems.get(other, {}):
        return True
    target = reference.get("median", reference["mean"])
    far = abs(systems[other][name].get("median", systems[other][name]["mean"]) - target)
    return len({abs(value - target) < far for value in seeds}) == 1


def _of_seed(split: dict, seed: dict, system: str | None, name: str) -> float | None:
    """Return the figure of one seed; of a system that was not trained, which all seeds share, the split's own."""
    if system is None:
        return None
    whole = split.get("systems", {}).get(system, {}).get(name)
    if whole is None:
        return None
    if "median" in whole:
        return seed.get(f"{system}_medians", {}).get(name) if system.startswith("tuned") else whole["median"]
    if system in seed:
        return seed[system].get(name)
    return None if system.startswith("tuned") else whole["mean"]


def has_verdict(change: dict, name: str) -> bool:
    """Return False for a metric without a direction, a forced one, and one without a recorded distance to the reference."""
    has_direction = "nearer" in change if BETTER[name] == "reference" else BETTER[name] != "neutral"
    return has_direction and not change.get("forced")


def verdict_of(change: dict, name: str) -> str | None:
    """Return 'better', 'worse' or None (no difference shown) for a paired difference, by its interval and direction.

    Where the reference text's own value is the target, the smaller distance to it is better.
    """
    if not has_verdict(change, name):
        return None
    low, high = (change["nearer"] if BETTER[name] == "reference" else change)["ci95"]
    if low <= 0 <= high:
        return None
    return "better" if (low > 0) == (BETTER[name] == "higher") else "worse"
