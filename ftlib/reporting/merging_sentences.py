"""Generate the sentences of notebook 04: what a merge costs, whether it is proven, and what an export holds."""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.reporting.sentence_parts import LEVEL, Sentence, joined
from ftlib.runtime.language import to_translate, tr

DEQUANTIZED = "merged onto the dequantized base"
WAYS = {  # {name in results and in code: the name for a reader}
    "merged into NF4": to_translate("merged into NF4"),
    DEQUANTIZED: to_translate("merged onto the dequantized base"),
    "merged onto the 16-bit base": to_translate("merged onto the 16-bit base"),
}


def merge_ways(ways: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the ways with today's names and their NLL minus that of the adapter as trained."""
    named = {name.replace("dequantised", "dequantized"): dict(values) for name, values in ways.items()}
    trained = next(iter(named.values()))["nll"]
    return {name: values | {"change": values["nll"] - trained} for name, values in named.items()}


def way_name(name: str) -> str:
    """Return the name of a way to merge in the reader's language."""
    return tr(WAYS.get(name, name))


def signed(value: float) -> str:
    """Format a small difference with its sign and four decimals, without a negative zero."""
    return f"{round(value, 4) + 0.0:+.4f}"


def about_merge(ways: Mapping[str, Mapping[str, float]]) -> Sentence:
    """Say which of three ways to merge keeps the trained model, and what the others cost."""
    _, *merges = merge_ways(ways).items()
    largest = max(abs(values["change"]) for _, values in merges)
    if largest < LEVEL:
        return Sentence(
            tr(
                "On this model the three ways are level: the NLL moves by {largest:.4f} nats at most. The logits still differ.",
                largest=largest,
            )
        )
    parts = []
    for name, values in sorted(merges, key=lambda item: abs(item[1]["change"])):
        way, change = way_name(name), signed(values["change"])
        if values["change"] > LEVEL:
            parts.append(tr("{way} costs ({change} nats)", way=way, change=change))
        elif values["change"] < -LEVEL:
            parts.append(tr("{way} gains ({change} nats)", way=way, change=change))
        else:
            parts.append(tr("{way} changes nothing that shows ({change} nats)", way=way, change=change))
    return joined(parts)


def about_dtype(ways: Mapping[str, Mapping[str, float]], proof: Mapping) -> Sentence:
    """Tell the effect of the compute dtype from that of the merge."""
    merge = merge_ways(ways).get(DEQUANTIZED, {}).get("largest")
    computed = proof.get("adapter_on_nf4", {}).get("largest")
    if merge is None or computed is None:
        return Sentence(tr("The base of this run is not quantized, so there is no NF4 computation to compare with."))
    if computed > 10 * merge:
        return Sentence(
            tr(
                "With the training's compute dtype the logits differ by up to {computed:.2g}; in float32 the same adapter on "
                "the same NF4 base differs by {merge:.2g}. The dtype makes the difference, not the merge.",
                computed=computed,
                merge=merge,
            )
        )
    return Sentence(
        tr(
            "With the training's compute dtype the logits differ by up to {computed:.2g}, in float32 by {merge:.2g}: on this "
            "device the compute dtype adds nothing that matters.",
            computed=computed,
            merge=merge,
        )
    )


def about_proof(proof: Mapping) -> Sentence:
    """Read the proof of a merge aloud."""
    same = proof["merged_vs_adapter_float32"]
    close = same["largest"] <= proof["tolerance"] and same["greedy_equal"] == proof["prompts"]
    first = tr(
        "The largest logit difference is {largest:.1e}, allowed are {tolerance:.0e}; {same} of {prompts} prompts have the same "
        "greedy completion.",
        largest=same["largest"],
        tolerance=proof["tolerance"],
        same=same["greedy_equal"],
        prompts=proof["prompts"],
    )
    if not proof["saved_weights_are_the_cast_weights"]:
        second = tr("The file does not hold the cast weights: the merge is refused.")
    elif close:
        second = tr("The file holds exactly the cast weights: the merge is accepted.")
    else:
        second = tr("The file holds exactly the cast weights: the merge is refused.")
    return Sentence(f"{first} {second}")


def about_export(proof: Mapping) -> Sentence:
    """Read the proof of GGUF files aloud."""
    parts = []
    for kind, found in proof.items():
        if isinstance(found, Mapping):
            ids = tr("the same prompt ids") if found["same_ids"] else tr("other prompt ids")
            parts.append(
                tr(
                    "{kind}: {size:,.1f} MiB, {ids}, {alike} of {prompts} completions alike",
                    kind=kind,
                    size=found["bytes"] / 2**20,
                    ids=ids,
                    alike=found["same_words"],
                    prompts=proof["prompts"],
                )
            )
    return Sentence(tr("Read back by transformers, {files}.", files="; ".join(parts)))


def about_sizes(adapter_mib: float, merged_mib: float) -> Sentence:
    """Compare the room of an adapter with that of a merged model."""
    times = merged_mib / max(adapter_mib, 1e-9)
    if times < 2:
        return Sentence(
            tr(
                "Adapter {adapter:,.1f} MiB, merged model {merged:,.1f} MiB: on this tiny base it makes no difference.",
                adapter=adapter_mib,
                merged=merged_mib,
            )
        )
    return Sentence(
        tr(
            "Adapter {adapter:,.1f} MiB, merged model {merged:,.1f} MiB: one merged model takes the room of {times:,.0f} "
            "adapters.",
            adapter=adapter_mib,
            merged=merged_mib,
            times=times,
        )
    )
