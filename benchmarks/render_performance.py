"""Render the measured parts of docs/performance.md: peers, utilization, where a job's time goes, decoding, larger jobs.

What: tables and sentences computed from results/peers.json, train_speed.json, job_phases.json, generate_speed.json and
scaling.json; no figure is typed. Why: MFU and MBU are derived here from recorded rates, with one definition each.
How: python benchmarks/render_results.py, which writes the other pages too.
"""

from __future__ import annotations

from pathlib import Path

from peers import ONLY_SMALLEST, SETTINGS, SIZES
from shapes import TINYLLAMA

from ftlib.reporting.tables import Table
from ftlib.runtime.files import read_json

DATASHEET_TFLOPS, DATASHEET_TB_PER_S = 989.0, 3.35  # H100 SXM: dense bfloat16, HBM3
NAMES = {"ftlib": "ours", "unsloth": "Unsloth", "trl": "TRL", "liger": "TRL + Liger"}
BEGIN, END = "<!-- performance: written by benchmarks/render_results.py -->", "<!-- /performance -->"
MEAN_TOKENS = 195  # of an example of the real rows: the context that attention sees is half of it on average
TIMES = 2.5  # so many times faster than the fastest peer is the aim


def matmul_weights(shape: dict = TINYLLAMA) -> int:
    """Return the weights that a token is multiplied with: all but the input embedding."""
    width, inner = shape["hidden_size"], shape["intermediate_size"]
    kv = width * shape["num_key_value_heads"] // shape["num_attention_heads"]
    layer = 2 * width * width + 2 * width * kv + 3 * width * inner
    return shape["num_hidden_layers"] * layer + width * shape["vocab_size"]


def flops_per_token(shape: dict = TINYLLAMA, mean_tokens: float = MEAN_TOKENS) -> float:
    """Return the FLOP of training a LoRA on a frozen base, per token.

    A weight costs 2 in the forward pass and 2 for the gradient of its input; the third pair, the gradient of the weight, is not
    computed. Attention has no weights to freeze: its two products cost 4 times width and context, and twice that backward.
    """
    attention = 12 * shape["num_hidden_layers"] * shape["hidden_size"] * mean_tokens / 2
    return 4 * matmul_weights(shape) + attention


def render(results: Path) -> str:
    """Return the Markdown of all parts whose file was recorded."""
    parts = (
        ("peers.json", render_peers),
        ("train_speed.json", render_utilization),
        ("job_phases.json", render_phases),
        ("cpu_speed.json", render_first_command),
        ("generate_speed.json", render_decoding),
        ("scaling.json", render_larger),
    )
    lines: list[str] = []
    for name, part in parts:
        if (results / name).exists():
            lines += part(read_json(results / name))
    return "\n".join(["\n", *lines])


def best_by_system(rows: list[dict]) -> dict[tuple[str, int], dict[str, dict]]:
    """Return {(base, examples): {system: its fastest row}}."""
    found: dict = {}
    for row in rows:
        if "tokens_per_s" in row:
            cell = found.setdefault((row["base"], row["examples"]), {})
            if row["tokens_per_s"] > cell.get(row["system"], {"tokens_per_s": 0})["tokens_per_s"]:
                cell[row["system"]] = row
    return found


def render_peers(found: dict) -> list[str]:
    """Render each system in its fastest setting, with the ratio to the fastest peer."""
    best, columns, sentences = best_by_system(found["rows"]), {}, []
    for (base, examples), systems in best.items():
        ours = systems["ftlib"]["tokens_per_s"]
        peers = {name: row for name, row in systems.items() if name != "ftlib"}
        fastest = max(row["tokens_per_s"] for row in peers.values())
        row = {
            "base": base,
            "examples a step": str(examples),
            "tokens a step": f"{systems['ftlib']['tokens_per_step']:,}",
        }
        for name, title in NAMES.items():
            peer = systems.get(name)
            setting = "" if name == "ftlib" or peer is None else f" ({peer['setting']})"
            row[title] = f"{peer['tokens_per_s']:,}{setting}" if peer else "not measured"
        row["times the fastest peer"] = f"{ours / fastest:.1f}"
        row["NLL after the run"] = ", ".join(
            f"{systems[name]['loss']:.2f}" for name in NAMES if "loss" in systems.get(name, {})
        )
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
        if ours / fastest < TIMES:
            sentences.append(f"{base}, {examples} examples: {ours / fastest:.1f}")
    attention = [name for name, there in found["attention"].items() if not there]
    without = f" The peers ran without {' and '.join(attention)}, which were not installed." if attention else ""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    shares = [systems["ftlib"].get("computed_share", 1.0) for systems in best.values()]
    once = (
        f" Ours computes what all prompts begin with once a step: {min(shares):.0%} to {max(shares):.0%} of the tokens are left."
        if min(shares) < 1
        else ""
    )
    lines = [f"**Training speed beside peers**, tokens/s without padding, on {found['device']}.{without}{once}", ""]
    lines += Table.of_columns(columns).markdown()
    lines += [
        f"Versions: {versions}. File: [`results/peers.json`](../results/peers.json), with every setting that was tried.",
        "",
    ]
    settings = {name: SETTINGS if name != "ftlib" else ("compiled step",) for name in NAMES}
    measured = {(row["base"], row["examples"], row["system"], row["setting"]) for row in found["rows"]}
    left_out = [
        f"{NAMES[name]} {setting} at {examples} ({base})"
        for base, examples in best
        for name in NAMES
        for setting in settings[name]
        if (setting != ONLY_SMALLEST or examples == min(SIZES)) and (base, examples, name, setting) not in measured
    ]
    if left_out:
        lines += [f"Not measured, because a system's time was over: {', '.join(left_out)}.", ""]
    without_nll = [
        f"{NAMES[name]} at {examples} ({base})"
        for (base, examples), systems in best.items()
        for name in NAMES
        if name in systems and "loss" not in systems[name]
    ]
    if without_nll:
        lines += [f"Without NLL, because the run was ended before it was computed: {', '.join(without_nll)}.", ""]
    if sentences:
        lines += [f"Below {TIMES} times the fastest peer: {'; '.join(sentences)}.", ""]
    return lines


def render_utilization(found: dict) -> list[str]:
    """Render MFU of the recorded recipes of TinyLlama's shape."""
    flops, columns = flops_per_token(), {}
    rows = [row for row in found["rows"] if row["shape"] == "tinyllama-1.1b"]
    for row in rows:
        measured = row.get("computed_tokens_per_s", row["tokens_per_s"]) * flops / 1e12
        columns.setdefault("recipe", []).append(row["recipe"])
        columns.setdefault("tokens/s", []).append(f"{row['tokens_per_s']:,}")
        columns.setdefault("TFLOP/s", []).append(f"{measured:.1f}")
        columns.setdefault("MFU", []).append(f"{measured / DATASHEET_TFLOPS:.1%}")
    lines = [
        f"**Utilization** (MFU) of {found['device']}: {flops / 1e9:.2f} GFLOP a token over {DATASHEET_TFLOPS:.0f} TFLOP/s of the "
        "datasheet. File: [`results/train_speed.json`](../results/train_speed.json).",
        "",
    ]
    return lines + Table.of_columns(columns).markdown() + [""]


def render_phases(found: dict) -> list[str]:
    """Render where the time of a job goes: phases on the latest machine, and the seconds outside the steps on all."""
    machines = found["machines"]
    latest = _two_rows(machines[-1]["rows"])
    names = list(dict.fromkeys(name for row in latest for name in row["phases"]))
    phases = {"phase, s": [*names, "end of the process", "whole job", "outside the steps"]}
    for row in latest:
        seconds = [row["phases"].get(name, 0.0) for name in names]
        seconds.append(row["seconds"] - sum(seconds))
        phases[row["compile_cache"]] = [f"{value:.1f}" for value in (*seconds, row["seconds"], _outside(row))]
    devices = " and ".join(dict.fromkeys(machine["device"] for machine in machines))
    numbers = [str(number) for number in range(1, len(machines) + 1)]
    outside = {"machine": numbers, "measured": [machine["finished"].replace("T", " ")[:16] for machine in machines]}
    outside["Python loop, s"] = [
        f"{machine['python_seconds']:.2f}" if "python_seconds" in machine else "–" for machine in machines
    ]
    for cache in ("cold", "warm"):
        kept = [[row for row in machine["rows"] if row["compile_cache"] == cache] for machine in machines]
        outside[f"{cache}, s"] = [", ".join(f"{_outside(row):.1f}" for row in rows) for rows in kept]
    return [
        f"**Where a job's time goes**: `ftlib train` of {latest[0]['examples']:,} examples on {devices}, from the start of the "
        "process to its end, with a cold and a warm compile cache, on the machine that was measured last. File: "
        "[`results/job_phases.json`](../results/job_phases.json).",
        "",
        *Table.of_columns(phases).markdown(),
        "",
        f"The same job's seconds outside the steps, every run on {len(machines)} machines with this GPU, oldest first. "
        "The loop has ten million turns; it was not timed on the older ones.",
        "",
        *Table.of_columns(outside).markdown(),
        "",
    ]


def _outside(row: dict) -> float:
    """Return the seconds of a job outside its steps."""
    return row["seconds"] - row["phases"]["steps"]


def _two_rows(rows: list[dict]) -> list[dict]:
    """Return the cold row and the median of the warm ones, by whole seconds."""
    warm = sorted((row for row in rows if row["compile_cache"] == "warm"), key=lambda row: row["seconds"])
    cold = [row for row in rows if row["compile_cache"] == "cold"]
    return cold + warm[len(warm) // 2 :][:1]


def render_first_command(found: dict) -> list[str]:
    """Render the seconds of README's first command, a column for each CPU and a row for each stage."""
    lines = found["first command"]
    names = [name for name in lines[0] if name not in ("cpu", "torch")]
    columns = {"stage, s": names} | {line["cpu"]: [f"{line[name]:.0f}" for name in names] for line in lines}
    return [
        "**Without a GPU**: README's first command on the sample, after installation. The last word of a CPU's name is the type "
        "that it computes in; one with `float32` has no bfloat16 instructions. "
        "File: [`results/cpu_speed.json`](../results/cpu_speed.json).",
        "",
        *Table.of_columns(columns).markdown(),
        "",
    ]


def render_decoding(found: dict) -> list[str]:
    """Render decoding speed with MBU."""
    columns: dict[str, list[str]] = {}
    for row in found["rows"]:
        if "error" in row:
            continue
        columns.setdefault("method", []).append(row["method"])
        columns.setdefault("batch", []).append(str(row["batch"] or "as the product chooses"))
        columns.setdefault("prompts", []).append(f"{row['prompts']:,}")
        columns.setdefault("tokens/s", []).append(f"{row['tokens_per_s']:,.0f}")
        columns.setdefault("MBU", []).append(f"{row['mbu']:.0%}" if "mbu" in row else "–")
    copy, beside = found.get("copy_tb_per_s"), []
    for row in found["rows"]:
        if "ours_in_this_run" in row:
            ours = row["ours_in_this_run"]
            beside = [
                f"`{row['method'].split(', ')[1]}` of transformers ran with its own attention in PyTorch (`paged|sdpa`; "
                f"flash-attention was not installed). In the same run ours reached {ours:,.0f} tokens/s, "
                f"{ours / row['tokens_per_s']:.0f} times as many.",
                "",
            ]
    measured = f", over {copy} TB/s of a measured copy (datasheet: {DATASHEET_TB_PER_S})" if copy else ""
    return [
        f"**Decoding** on {found['device']}, capture of the step and prefill included. MBU: bytes of weights, keys and values "
        f"that a step reads{measured}. File: [`results/generate_speed.json`](../results/generate_speed.json).",
        "",
        *Table.of_columns(columns).markdown(),
        "",
        *beside,
    ]


def render_larger(found: dict) -> list[str]:
    """Say from the recorded rates what ten times the rows or the model needs."""
    rows = {row["gpus"]: row for row in found["rows"]}
    one, most = rows[1], rows[max(rows)]
    hours = 10 * 20_800 / one["examples_per_s"] / 3600
    return [
        f"**Ten times the rows**, from recorded rates: one {found['device']} trains {one['examples_per_s']:,.0f} examples a "
        f"second, so ten times the reference's 20,800 examples take {60 * hours:.0f} minutes; {max(rows)} GPUs reach "
        f"{most['examples_per_s'] / one['examples_per_s']:.1f} times that rate "
        "([`results/scaling.json`](../results/scaling.json)).",
        "",
    ]
