"""Why do greedy answers loop? How likely a passage is each time it comes back, and how likely the answer's end is behind it.

What: validation titles are answered greedily. In each answer that did not stop, the repeated passage is found, and the model is
asked how likely it finds the passage's tokens at the first, second, third time, and the end of the turn right behind each. Why:
if every repetition makes the next one likelier, only something from outside ends the loop (Xu et al. 2022, Learning to Break the
Loop).
How: python benchmarks/why_loops.py RUN (a finished run; some minutes on a CPU). It writes results/loops.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ftlib.config.settings import Config
from ftlib.evaluation.bootstrap import mean_interval
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset, recorded_settings
from ftlib.prompts.encoding import encode_prompt, end_of_turn_id
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import write_json

RESULT = Path(__file__).resolve().parent.parent / "results" / "loops.json"
TIMES = 6  # repetitions that are looked at
NEW_TOKENS = 320
BATCH = 32


def loop_of(ids: list[int]) -> tuple[int, int] | None:
    """(place, length) of the passage that the ids repeat TIMES times or more up to their end; None if they do not."""
    for length in range(2, len(ids) // TIMES + 1):
        start = len(ids) - length
        while start and ids[start - 1] == ids[start - 1 + length]:
            start -= 1
        if len(ids) - start >= TIMES * length:
            return start, length
    return None


@torch.no_grad()
def likelihoods(model, prompt: list[int], answer: list[int], end: int) -> tuple[list[float], list[float]] | None:
    """Mean probability of the repeated passage's tokens, and that of the end behind it, for the first TIMES repetitions."""
    found = loop_of(answer)
    if found is None:
        return None
    start, length = found
    ids = torch.tensor([prompt + answer])
    logs = model(ids, use_cache=False).logits[0].float().log_softmax(-1)
    first = len(prompt) + start
    own, ends = [], []
    for time in range(TIMES):
        places = torch.arange(first + time * length, first + (time + 1) * length)
        own.append(logs[places - 1, ids[0, places]].exp().mean().item())
        ends.append(logs[places[-1], end].exp().item())
    return own, ends


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    run = Run(args.run)
    merged = run.stage("merged")
    cfg = Config.load(merged.manifest()["profile"], inherited=recorded_settings(run, "merged"), env={})
    tokenizer, model = load_tokenizer(cfg.model.name), load_plain(str(merged.path), "float32").eval()
    end, loops, stopped, rows = end_of_turn_id(tokenizer), [], 0, load_dataset(run)["validation"]
    prompts = [encode_prompt(tokenizer, row["input_text"]) for row in rows.select(range(min(args.rows, len(rows))))]
    for begin in range(0, len(prompts), BATCH):
        batch = prompts[begin : begin + BATCH]
        width = max(map(len, batch))
        ids = torch.tensor([[end] * (width - len(prompt)) + prompt for prompt in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
        with torch.no_grad():
            out = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=end, pad_token_id=end
            )  # fmt: skip
        for prompt, answer in zip(batch, out[:, width:].tolist(), strict=True):
            if end in answer:
                stopped += 1
            elif measured := likelihoods(model, prompt, answer, end):
                loops.append(measured)
    found = {
        "definitions": DEFINITIONS,
        "rows": len(prompts),
        "stopped": stopped,
        "did_not_stop": len(prompts) - stopped,
        "loops": len(loops),
        "new_tokens": NEW_TOKENS,
        "repetitions": [],
    }
    for time in range(TIMES):
        found["repetitions"].append({
            "time": time + 1,
            "token_probability": mean_interval([own[time] for own, _ in loops]),
            "end_probability": mean_interval([ends[time] for _, ends in loops]),
        })  # fmt: skip
        print(found["repetitions"][-1])
    trained = run.stage("adapter").manifest()["stopped_at_step"]
    found |= {
        "model": cfg.model.name,
        "training_steps": trained,
        "device": hardware.device_name(),
        "finished": provenance.now(),
    }
    write_json(args.out, found)
