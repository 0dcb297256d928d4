"""Build parts of metrics.json and other results for the tests of computed sentences."""

from __future__ import annotations


def interval(mean, half=0.01, **more):
    return {"mean": mean, "ci95": [mean - half, mean + half]} | more


def ways(nf4, plain):
    return {
        "adapter on NF4, as trained": {"largest": 0.0, "nll": 3.0},
        "merged into NF4": {"largest": 9.0, "nll": 3.0 + nf4},
        "merged onto the dequantised base": {"largest": 1e-4, "nll": 3.0 - 1e-9},
        "merged onto the 16-bit base": {"largest": 5.0, "nll": 3.0 + plain},
    }


def proof(largest=1e-5, greedy=4, saved=True, nf4=None):
    same = {"largest": largest, "greedy_equal": greedy}
    found = {"merged_vs_adapter_float32": same, "tolerance": 1e-3, "prompts": 4}
    return (
        found
        | {"saved_weights_are_the_cast_weights": saved}
        | ({"adapter_on_nf4": {"largest": nf4}} if nf4 is not None else {})
    )


def block(**changes):
    """A split of metrics.json with the values of one metric: {metric: (base, tuned, other systems)}."""
    systems = {"base": {}, "tuned": {}, "copy_title": {}, "nearest": {}}
    for name, values in changes.items():
        for system, value in zip(systems, values, strict=False):
            systems[system][name] = interval(value)
    pairs = (("tuned", "base"), ("tuned", "nearest"))
    differences = {
        f"{a}-{b}": {
            name: interval(systems[a][name]["mean"] - systems[b][name]["mean"])
            for name in systems[a]
            if name in systems[b]
        }
        for a, b in pairs
    }
    return {"n": 100, "systems": systems, "differences": differences, "reference": {}}


def memory(seen, unseen):
    return {
        split: {"differences": {"tuned-base": {"nll": interval(change, 0.1)}}}
        for split, change in (("seen", seen), ("unseen", unseen))
    }


def copying(seen, unseen):
    return {
        split: {"systems": {"tuned": {"copied_run": interval(run, 1)}}, "reference": {"copied_run": {"mean": 12.0}}}
        for split, run in (("seen", seen), ("unseen", unseen))
    }


def shares(test, train, half=0.1):
    return {(split, "tuned"): interval(mean, half) for split, mean in (("test", test), ("train", train))}


def with_nearer(nearer):
    found = block(title_coverage=(0.9, 0.7))
    found["differences"]["tuned-base"]["title_coverage"]["nearer"] = interval(nearer)
    return found


def stopping(reference, **more):
    found = block(stops=(0.6, 0.7))
    found["systems"]["tuned"]["stops"] |= more
    return found | {"reference": {"stops": {"mean": reference}}}


def result(*supported, sources=True):
    return {"sources": ["row"] if sources else [], "sentences": [{"supported": each} for each in supported]}


class Named:
    def __init__(self, name):
        self.model = self
        self.name = name


def lookups(*means):
    return block(rougeL=(0.1, means[0], means[2] if len(means) > 2 else 0.1, means[1]))


def many(shown):
    found = block(rougeL=(0.1, 0.2), chrf=(1.0, 1.0 + 9 * shown), nll=(3.0, 3.0 - shown))
    return found if shown else block(rougeL=(0.1, 0.1), chrf=(1.0, 1.0), nll=(3.0, 3.0))


def draws(*means):
    return [interval(mean, 0.05) for mean in means]
