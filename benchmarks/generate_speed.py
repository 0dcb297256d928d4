"""Answering prompts on one GPU: the reference's loop (NF4, one prompt at a time) against ours, and a whole evaluation.

What: tokens/s and examples/s at several batch sizes in the TinyLlama-1.1B shape (random weights: they hardly ever end an answer
by themselves, so every answer has its full length), prompts of the real rows; `--agreement` counts, on SmolLM2-135M in float32,
how many answers equal those of `transformers.generate`, and how near the two best tokens are where they do not;
`--evaluation RUN` times `ftlib evaluate` on 900 rows of a trained run (of `train_speed.py --job gpu --run RUN`).
How: python benchmarks/generate_speed.py --data trn_real.json.gz --speed --agreement (minutes on a GPU). It writes
results/generate_speed.json.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shapes import SMOLLM2, model_of, rows_of

from ftlib.config.settings import Config
from ftlib.generation.batched import _generate_with_decoder, generate_batch, settings
from ftlib.generation.cuda_graph_decoder import Decoder
from ftlib.models.base_models import fetch
from ftlib.models.loading import load_nf4, load_plain, load_tokenizer
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import ensure, recorded_settings
from ftlib.prompts.encoding import encode_prompt
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json

RESULT = Path(__file__).resolve().parent.parent / "results" / "generate_speed.json"
NEW_TOKENS = 150
SHAPE = "tinyllama-1.1b"
# (method, batch size, prompts); None: all of them, as the product does it
LINES = [
    ("reference: NF4, generate", 1, 2), ("16-bit, generate", 1, 3), ("16-bit, generate", 32, 32), ("16-bit, generate", 256, 256),
    ("ours", 1, 8), ("ours", 8, 32), ("ours", 32, 128), ("ours", 128, 512), ("ours", 256, 1000), ("ours", None, 1000),
    # its attention compares every token with those of all other answers, so more prompts at once would slow it down
    ("transformers, generate_batch", None, 128),
]  # fmt: skip
PEER = "transformers, generate_batch", None


def speed(data: str, only: list[int] | None) -> tuple[list[dict], float]:
    """Return one line for each of LINES, capture of the step included, and the device's copy bandwidth in TB/s."""
    import torch

    dataset = rows_of(data, 3000)
    name = model_of(SHAPE, dataset, Path(tempfile.gettempdir()) / "ftlib-shapes")
    tokenizer, lines, copy = load_tokenizer(name), [], copy_bytes_per_s()
    print(f"copy: {copy / 1e12:.2f} TB/s", flush=True)
    wanted = Config.load("gpu", env={}, **{"generation.max_new_tokens": NEW_TOKENS}).generation
    prompts = [encode_prompt(tokenizer, text) for text in dataset["train"][:1000]["input_text"]]
    for number, (method, batch, count) in enumerate(LINES):
        if only and number not in only:
            continue
        model = load_nf4(name, "float16") if "NF4" in method else load_plain(name, "bfloat16")
        taken = prompts[:count]
        if method != "ours":  # libraries load their kernels at the first call
            few = taken[: batch or 8]
            _tokens(method, batch, model, tokenizer, few, wanted.model_copy(update={"max_new_tokens": 4}))
        if method == "ours":  # its kernels are compiled at the first call
            _tokens(method, 1, model, tokenizer, taken[:1], wanted.model_copy(update={"max_new_tokens": 4}))
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        try:
            tokens = _tokens(method, batch, model, tokenizer, taken, wanted)
        except Exception as error:  # what transformers cannot do here is a result too
            if method == "ours":
                raise
            lines.append(
                {
                    "shape": SHAPE,
                    "method": method,
                    "prompts": len(taken),
                    "error": f"{type(error).__name__}: {error}"[:300],
                }
            )
            print(lines[-1], flush=True)
            continue
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begun
        lines.append({
            "shape": SHAPE, "method": method, "batch": batch, "prompts": len(taken), "tokens": tokens,
            "seconds": round(seconds, 2), "examples_per_s": round(len(taken) / seconds, 2),
            "tokens_per_s": round(tokens / seconds, 1),
            "step_ms": round(1000 * seconds / tokens * min(batch, len(taken)), 2) if batch else None,
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        })  # fmt: skip
        if method == "ours" and batch:
            lines[-1]["mbu"] = round(step_bytes(model, batch, taken) / (seconds / tokens * batch) / copy, 3)
        print(" | ".join(f"{key} {value}" for key, value in lines[-1].items() if key != "shape"), flush=True)
        del model
        gc.collect()
        torch.cuda.empty_cache()
    return lines, round(copy / 1e12, 2)


def step_bytes(model, slots: int, prompts: list[list[int]]) -> float:
    """Return the bytes that a decoding step reads: all weights, and keys and values of `slots` answers at half their length."""
    config = model.config
    a_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    context = sum(map(len, prompts)) / len(prompts) + NEW_TOKENS / 2
    weights = sum(weight.numel() for weight in model.parameters()) - model.get_input_embeddings().weight.numel()
    return 2 * weights + slots * context * a_token


def copy_bytes_per_s() -> float:
    """Measure the device's copy bandwidth, bytes read and written, the best of ten."""
    import torch

    source = torch.empty(2**30, dtype=torch.uint8, device="cuda").random_()
    target, seconds = torch.empty_like(source), []
    for _ in range(11):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return 2 * source.numel() / min(seconds[1:])


def _tokens(method: str, batch: int | None, model, tokenizer, encoded: list[list[int]], wanted) -> int:
    """Answer the prompts by one method; how many tokens that were."""
    counts: list[int] = []
    if method == "transformers, generate_batch":
        from transformers import GenerationConfig

        model.set_attn_implementation("paged|sdpa")
        options = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=tokenizer.eos_token_id,
                                   pad_token_id=tokenizer.pad_token_id)  # fmt: skip
        answers = model.generate_batch(inputs=encoded, generation_config=options, progress_bar=False)
        return sum(len(answer.generated_tokens) for answer in answers.values())
    if method != "ours":
        for start in range(0, len(encoded), batch):
            counts += [a.n_tokens for a in generate_batch(model, tokenizer, encoded[start : start + batch], wanted)]
    elif batch is None:
        _generate_with_decoder(
            model, tokenizer, encoded, wanted, lambda _, answers: counts.extend(a.n_tokens for a in answers)
        )
    else:
        ends = settings(tokenizer, wanted)["eos_token_id"]
        decoder = Decoder(model, wanted, ends, batch, max(map(len, encoded)))
        decoder.run(encoded, lambda done: counts.extend(map(len, done.values())))
    return sum(counts)


def agreement(data: str, count: int) -> dict:
    """Answers of our decoder against those of `transformers.generate`, in float32, prompts of one length at a time (no padding).

    At each first difference: how far apart the two tokens' logits are. `unbatched`: answers that are the same one by one.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    dataset = rows_of(data, 3000)
    tokenizer, model = load_tokenizer(SMOLLM2), load_plain(fetch(SMOLLM2), "float32")
    wanted = Config.load("gpu", env={}, **{"generation.max_new_tokens": 100}).generation
    prompts = [encode_prompt(tokenizer, text) for text in dataset["train"][:count]["input_text"]]
    ends, longest = settings(tokenizer, wanted)["eos_token_id"], max(map(len, prompts))
    batched: dict = {}
    alone: dict = {}
    Decoder(model, wanted, ends, 128, longest).run(prompts, batched.update)
    Decoder(model, wanted, ends, 1, longest).run(prompts, alone.update)
    generated = {}
    for length in sorted(set(map(len, prompts))):
        places = [place for place, prompt in enumerate(prompts) if len(prompt) == length]
        ids = torch.tensor([prompts[place] for place in places], device=model.device)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), **settings(tokenizer, wanted, model, length))
        generated |= dict(zip(places, out[:, length:].tolist(), strict=True))
    gaps = []
    for position, prompt in enumerate(prompts):
        one, many = up_to_end(generated[position], ends), up_to_end(batched[position], ends)
        if one == many:
            continue
        place = next(k for k in range(min(len(one), len(many))) if one[k] != many[k])
        ids = torch.tensor([prompt + one[:place]], device=model.device)
        with torch.no_grad():
            logits = model(ids, use_cache=False).logits[0, -1].double()
        best = logits.topk(2)
        gaps.append({
            "place": place, "gap_of_the_two_tokens": abs(float(logits[one[place]] - logits[many[place]])),
            "both_are_the_two_best": {one[place], many[place]} == set(best.indices.tolist()),
        })  # fmt: skip
    equal = count - len(gaps)
    found = {
        "model": SMOLLM2,
        "dtype": "float32",
        "prompts": count,
        "new_tokens": wanted.max_new_tokens,
        "equal": equal,
        "share": equal / count,
        "unbatched": sum(up_to_end(alone[place], ends) == up_to_end(batched[place], ends) for place in alone),
        "differences": gaps,
        "finished": provenance.now(),
    }
    print(found, flush=True)
    return found


def up_to_end(ids: list[int], ends: list[int]) -> list[int]:
    """Return an answer's ids before its first end token, behind which `generate` pads."""
    return ids[: next((place for place, token in enumerate(ids) if token in ends), len(ids))]


def evaluation(run: str, rows: int, extra: tuple[str, ...] = ()) -> dict:
    """Seconds of a whole `ftlib evaluate`, from process start to the report: base and tuned on `rows` unseen rows.

    run: folder of a trained run, for example of `train_speed.py --job gpu --run FOLDER`.
    """
    options = ["--run", run]
    for setting in (f"generation.max_new_tokens={NEW_TOKENS}", f"evaluation.rows={rows}", "evaluation.seen_rows=0"):
        options += ["--set", setting]
    subprocess.run([sys.executable, "-m", "ftlib", "merge", *options], check=True)
    if extra:  # `ftlib run` has the index by then too
        of = Run(Path(run))
        ensure("index", Config.load("gpu", env={}, inherited=recorded_settings(of, "index")), of)
    options += extra
    shutil.rmtree(Path(run) / "evaluation", ignore_errors=True)  # stored answers would not be generated again
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ftlib", "evaluate", *options], check=True)
    seconds = round(time.perf_counter() - begun, 1)
    metrics = read_json(Path(run) / "evaluation" / "metrics.json")
    about = metrics["settings"]
    answering = [name for name in metrics["unseen"]["systems"] if name not in ("copy_title", "nearest")]
    phases = read_json(Path(run) / "evaluation" / "manifest.json")["phases"]
    found = {
        "model": Path(about["model"]).name,
        "rows": rows,
        "systems": len(answering),
        "new_tokens": NEW_TOKENS,
        "seconds": seconds,
        "phases": phases,
        "finished": provenance.now(),
    }
    print(found, flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="rows whose prompts are answered, e.g. trn_real.json.gz")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--lines", type=int, nargs="*", help="numbers of LINES, from 0; all without")
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("--evaluation", metavar="RUN", help="folder of a trained run")
    parser.add_argument("--prompts", type=int, default=128, help="of the agreement")
    parser.add_argument(
        "--rows", type=int, default=900, help="of the evaluation; the run's test split must have as many"
    )
    args = parser.parse_args()
    found = read_json(RESULT) if RESULT.exists() else {}
    if args.speed:
        lines, found["copy_tb_per_s"] = speed(args.data, args.lines)
        rows = {(line["method"], line.get("batch")): line for line in [*found.get("rows", []), *lines]}
        of = {(line["method"], line.get("batch")): line.get("tokens_per_s") for line in lines}
        if (peer := rows.get(PEER)) in lines and ("ours", None) in of:
            peer["ours_in_this_run"] = of["ours", None]
        found["rows"] = [rows[method, batch] for method, batch, _ in LINES if (method, batch) in rows]
        slow = found["rows"][0]["tokens_per_s"]
        for line in found["rows"]:
            if "error" not in line:
                line["ratio"] = round(line["tokens_per_s"] / slow, 1)
    if args.agreement:
        found["agreement"] = agreement(args.data, args.prompts)
    if args.evaluation:
        found["evaluation"] = evaluation(args.evaluation, args.rows)
        found["evaluation_with_retrieval"] = evaluation(args.evaluation, args.rows, ("--open-book",))
    found |= {"device": hardware.device_name(), "versions": provenance.versions(), "finished": provenance.now()}
    write_json(RESULT, found)
