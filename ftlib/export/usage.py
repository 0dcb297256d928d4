"""Write the code that asks an uploaded model: for its card, and as `notebook.ipynb`, which the hub's button opens in Colab.

Card and notebook must prompt the model as it was trained. A chat template may leave out the BOS (Zephyr's, so
TinyLlama's), so the tokenizer of the run decides whether the code adds it. The notebook is written as plain JSON:
nbformat is not needed to upload.
"""

from __future__ import annotations

import json
from pathlib import Path

from ftlib.pipeline.stage import Run
from ftlib.prompts.encoding import encode_prompt
from ftlib.prompts.templates import TEMPLATE, build_prompt, questions_of
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.errors import FtlibError

TITLE = "Stainless steel kettle, 1.7 liters"
LOAD = """import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
{imports}
device = "cuda" if torch.cuda.is_available() else "cpu"
tokenizer = AutoTokenizer.from_pretrained("{repo_id}")
{load}"""
ASK = """title = {title!r}
prompt = {prompt!r}.replace("TITLE", title)
text = tokenizer.apply_chat_template([{{"role": "user", "content": prompt}}], add_generation_prompt=True, tokenize=False)
inputs = tokenizer(text, add_special_tokens={adds_bos}, return_token_type_ids=False, return_tensors="pt").to(device)
answer = model.generate(**inputs, {decoding})
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())"""


class UsageError(FtlibError):
    """Raised when no code for other people can be written."""


def on_hub(base: str) -> bool:
    """Return True for a base model that is a repository of the hub."""
    return not (base.startswith(("pypi:", "tiny:")) or Path(base).exists())


def code(run: Run, kind: str, repo_id: str) -> tuple[str, str]:
    """Return two pieces of code: load the model, ask it one question.

    Args:
        run: with the stages up to `kind`.
        kind: 'merged' or 'adapter'.
        repo_id: OWNER/NAME.

    Raises:
        UsageError: the tokenizer's own call cannot encode prompts as in training.
        StageMissing: a stage was not built.
    """
    manifests = run.manifests()
    config = manifests["dataset"]["config"] | manifests["adapter"]["config"]
    base = config["model"]["name"]
    adapted = kind == "adapter" and config["lora"]["r"] > 0
    imports, origin = ["from peft import PeftModel"] if adapted else [], json.dumps(base if adapted else repo_id)
    if adapted and not on_hub(base):
        imports.append("from ftlib.models.base_models import fetch")
        origin = f"fetch({origin})"
    load = f'model = AutoModelForCausalLM.from_pretrained({origin}, dtype="auto").to(device)'
    if adapted:
        load += f'\nmodel = PeftModel.from_pretrained(model, "{repo_id}")'
    question = questions_of(config["data"]["questions"])[0]
    template = config.get("prompt", {}).get("template", TEMPLATE)  # older data sets do not say it
    loading = LOAD.format(imports="".join(f"{line}\n" for line in imports), repo_id=repo_id, load=load)
    asking = ASK.format(
        title=TITLE,
        prompt=build_prompt("TITLE", question, template),
        adds_bos=adds_special_tokens(run.stage(kind).path, build_prompt(TITLE, question, template)),
        decoding=_decoding(manifests.get("evaluation", {}).get("config", {}).get("generation", {})),
    )
    return loading, asking


def adds_special_tokens(folder: Path, prompt: str) -> bool:
    """Return the value of `add_special_tokens` with which the rendered template has the ids of training.

    Args:
        folder: with the tokenizer.
        prompt: the user message to compare.

    Raises:
        UsageError: neither value does.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    turn = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    expected = encode_prompt(tokenizer, prompt)
    for value in (False, True):
        if tokenizer(text, add_special_tokens=value)["input_ids"] == expected:
            return value
    raise UsageError(
        f"{folder}: the tokenizer's own call gives other ids than training used, so no code for other people can be written; "
        "use `ftlib ask` with this run"
    )


def _decoding(generation: dict) -> str:
    """Return the arguments of `generate` that decode as in the evaluation. generation: its settings; {} before it."""
    arguments = {"max_new_tokens": generation.get("max_new_tokens", 256), "do_sample": False}
    if generation.get("penalize_prompt", True) and generation.get("repetition_penalty", 1.0) != 1.0:
        arguments["repetition_penalty"] = generation["repetition_penalty"]
    if generation.get("length_decay"):
        arguments["exponential_decay_length_penalty"] = tuple(generation["length_decay"])
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def notebook(run: Run, kind: str, repo_id: str) -> str:
    """Return `notebook.ipynb`: installs, loads the model, asks one question. Raises UsageError, StageMissing."""
    loading, asking = code(run, kind, repo_id)
    needed = ['"transformers>=5.9"', "accelerate", *(['"peft>=0.19"'] if "peft" in loading else [])]
    install = [f"%pip install -q {' '.join(needed)}"]
    if "ftlib" in loading:
        install.append(_course())
    cells = [
        _markdown(
            f"# {repo_id}",
            "",
            "Load the fine-tuned model and ask it for a product description. Run the cells from top to bottom.",
            "A private repository needs a token: in Colab, store it as the secret `HF_TOKEN`.",
        ),
        _code("\n".join(install)),
        _code(loading),
        _markdown("Change the title and run the cell again. The model invents what the title does not say."),
        _code(asking),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    metadata = {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    value = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _course() -> str:
    """Return the line that installs ftlib, which holds the base model's origin."""
    try:
        repository, ref = notebook_files.address()
    except (CourseError, OSError):
        repository, ref = notebook_files.PLACEHOLDER, "main"
    if repository == notebook_files.PLACEHOLDER:
        return "# the base model comes with the course's module ftlib: install it from your clone, %pip install PATH"
    return f"%pip install -q git+https://github.com/{repository}@{ref}"


def _markdown(*lines: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": "\n".join(lines)}


def _code(source: str) -> dict:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
