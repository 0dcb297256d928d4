"""Generate the sentences of notebook 04: what a merge costs, whether it is proven, and what an export holds."""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.reporting.sentence_parts import LEVEL, Sentence, joined


def merge_ways(ways: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the ways with today's names and their NLL minus that of the adapter as trained."""
    named = {name.replace("dequantised", "dequantized"): dict(values) for name, values in ways.items()}
    trained = next(iter(named.values()))["nll"]
    return {name: values | {"change": values["nll"] - trained} for name, values in named.items()}


def signed(value: float) -> str:
    """Format a small difference with its sign and four decimals, without a negative zero."""
    return f"{round(value, 4) + 0.0:+.4f}"


def about_merge(ways: Mapping[str, Mapping[str, float]]) -> Sentence:
    """Say which of three ways to merge keeps the trained model, and what the others cost."""
    _, *merges = merge_ways(ways).items()
    largest = max(abs(values["change"]) for _, values in merges)
    if largest < LEVEL:
        return Sentence(
            f"On this model the three ways are level: the NLL moves by {largest:.4f} nats at most. The logits still differ."
        )
    parts = []
    for name, values in sorted(merges, key=lambda item: abs(item[1]["change"])):
        how = (
            "costs"
            if values["change"] > LEVEL
            else "gains"
            if values["change"] < -LEVEL
            else "changes nothing that shows"
        )
        parts.append(f"{name} {how} ({signed(values['change'])} nats)")
    return joined(parts)


def about_dtype(ways: Mapping[str, Mapping[str, float]], proof: Mapping) -> Sentence:
    """Tell the effect of the compute dtype from that of the merge."""
    merge = merge_ways(ways).get("merged onto the dequantized base", {}).get("largest")
    computed = proof.get("adapter_on_nf4", {}).get("largest")
    if merge is None or computed is None:
        return Sentence("The base of this run is not quantized, so there is no NF4 computation to compare with.")
    if computed > 10 * merge:
        return Sentence(
            f"With the training's compute dtype the logits differ by up to {computed:.2g}; in float32 the same adapter on "
            f"the same NF4 base differs by {merge:.2g}. The dtype makes the difference, not the merge."
        )
    return Sentence(
        f"With the training's compute dtype the logits differ by up to {computed:.2g}, in float32 by {merge:.2g}: on this "
        "device the compute dtype adds nothing that matters."
    )


def about_proof(proof: Mapping) -> Sentence:
    """Read the proof of a merge aloud."""
    same = proof["merged_vs_adapter_float32"]
    close = same["largest"] <= proof["tolerance"] and same["greedy_equal"] == proof["prompts"]
    first = (
        f"The largest logit difference is {same['largest']:.1e}, allowed are {proof['tolerance']:.0e}; "
        f"{same['greedy_equal']} of {proof['prompts']} prompts have the same greedy completion."
    )
    saved = (
        "The file holds exactly the cast weights"
        if proof["saved_weights_are_the_cast_weights"]
        else ("The file does not hold the cast weights")
    )
    verdict = (
        "the merge is accepted" if close and proof["saved_weights_are_the_cast_weights"] else "the merge is refused"
    )
    return Sentence(f"{first} {saved}: {verdict}.")


def about_export(proof: Mapping) -> Sentence:
    """Read the proof of GGUF files aloud."""
    parts = []
    for kind, found in proof.items():
        if isinstance(found, Mapping):
            ids = "the same prompt ids" if found["same_ids"] else "other prompt ids"
            alike = f"{found['same_words']} of {proof['prompts']} completions alike"
            parts.append(f"{kind}: {found['bytes'] / 2**20:,.1f} MiB, {ids}, {alike}")
    return Sentence(f"Read back by transformers, {'; '.join(parts)}.")


def about_sizes(adapter_mib: float, merged_mib: float) -> Sentence:
    """Compare the room of an adapter with that of a merged model."""
    times = merged_mib / max(adapter_mib, 1e-9)
    if times < 2:
        return Sentence(
            f"Adapter {adapter_mib:,.1f} MiB, merged model {merged_mib:,.1f} MiB: on this tiny base it makes no difference."
        )
    return Sentence(
        f"Adapter {adapter_mib:,.1f} MiB, merged model {merged_mib:,.1f} MiB: one merged model takes the room of "
        f"{times:,.0f} adapters."
    )
