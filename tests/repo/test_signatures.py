"""Every keyword that ftlib hands to another package is one that the installed version knows.

What: the calls are read from ftlib's own source, so a new call is checked without a line here. Why: packages rename arguments
(`evaluation_strategy`, `tokenizer`, `torch_dtype` of transformers), and a call that only a GPU or a hub reaches would be found
out by the reader. Calls that take any keyword (`**kwargs`) cannot be checked this way; tests that run them do it.
"""

import ast
import importlib
import inspect
from pathlib import Path

import ftlib

FOLDER = Path(ftlib.__file__).parent
# Methods of objects, which the source does not name by their class.
METHODS = {
    "apply_chat_template": "transformers.PreTrainedTokenizerBase",
    "merge_and_unload": "peft.tuners.lora.LoraModel",
    "generate": "transformers.GenerationMixin",
    "gradient_checkpointing_enable": "transformers.PreTrainedModel",
    "save_to_disk": "datasets.DatasetDict",
    "upload_folder": "huggingface_hub.HfApi",
    "create_repo": "huggingface_hub.HfApi",
    "train": "transformers.Trainer",
    "launch": "gradio.Blocks",
}
OWN = {"ftlib", "", None}


def found(path: str):
    """The object at a dotted path, or None if it is not installed here."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return None
            value = getattr(value, part)
        return value
    return None


def dotted(node) -> str | None:
    """'a.b.c' of such an expression."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else None
    return inner and f"{inner}.{node.attr}"


def calls() -> dict[str, set[str]]:
    """{dotted path of what is called: keywords} over all of ftlib."""
    used: dict[str, set[str]] = {}
    for path in FOLDER.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {
                    a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
                }
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        for node in ast.walk(tree):
            keywords = {word.arg for word in node.keywords if word.arg} if isinstance(node, ast.Call) else set()
            if not keywords:
                continue
            name = dotted(node.func)
            root, _, rest = (name or "").partition(".")
            if root in names:
                place = names[root] + (f".{rest}" if rest else "")
            elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                place = f"{METHODS[node.func.attr]}.{node.func.attr}"
            else:
                continue
            if place.split(".")[0] not in OWN:
                used.setdefault(place, set()).update(keywords)
    return used


def parameters(called) -> set[str] | None:
    """The names that a callable knows; None if it takes any keyword, or is compiled and tells none."""
    try:
        known = inspect.signature(called).parameters
    except ValueError:
        return None
    return None if any(each.kind is each.VAR_KEYWORD for each in known.values()) else set(known)


def test_keywords_are_known():
    """A renamed argument ends the reader's training in a TypeError, on the one machine that reaches the call."""
    used = calls()
    assert {"transformers.TrainingArguments", "peft.LoraConfig", "transformers.BitsAndBytesConfig"} <= set(used)
    known = {place: parameters(called) for place in used if (called := found(place)) is not None}
    checked = {place for place, names in known.items() if names is not None}
    assert len(checked) > 40  # a reader of the source that finds nothing would pass for ever
    missing = {place: used[place] - known[place] for place in checked}
    assert {place: unknown for place, unknown in missing.items() if unknown} == {}
