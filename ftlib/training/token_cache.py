"""Rows are encoded once: kept as an Arrow data set beside the data set that they come from, and read back as flat arrays.

What: `encoded(tokenizer, rows, train_config, place)` returns `prompts.encode_rows` as a `Flat`, out of `place` if the same rows
were encoded there before with the same tokenizer and settings. Why: encoding is a wait before every training, and another
learning rate does not change it. Reading is a few calls for all rows, none a token.
How: `ftlib train` keeps them in `<run>/dataset/encoded/<key>/`, so they go when the data set is made anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ftlib.prompts import encoding, templates
from ftlib.prompts.packing import Flat, to_flat
from ftlib.runtime import distributed
from ftlib.runtime.files import build_once, file_fingerprint, fingerprint


def encoded(tokenizer, rows, train_config, place: Path | None) -> Flat:
    """The rows encoded as `train_config` says. place: where they are kept, or None. With several processes the first encodes."""
    key = key_of(tokenizer, rows, train_config) if place else None
    if key is None:
        return to_flat(encoding.encode_rows(tokenizer, rows, train_config))
    folder = place / key
    if distributed.first():
        with build_once(folder) as partial:
            if partial:
                save(encoding.encode_rows(tokenizer, rows, train_config), partial)
    distributed.wait()
    return load(folder)


def key_of(tokenizer, rows, train_config) -> str | None:
    """A fingerprint of all that decides the ids and labels; None for a tokenizer or rows that do not tell what they are."""
    import tokenizers
    import transformers

    backend, rows_are = getattr(tokenizer, "backend_tokenizer", None), getattr(rows, "_fingerprint", None)
    if backend is None or rows_are is None:
        return None
    backend.no_truncation()  # as every call of `prompts` sets it; what an earlier call left there decides nothing
    backend.no_padding()
    content = hashlib.sha256(backend.to_str().encode()).hexdigest()
    return fingerprint(
        {
            "rows": rows_are,
            "tokenizer": [content, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id],
            "settings": encoding.encoding_settings(train_config),
            "code": [file_fingerprint(Path(module.__file__)) for module in (encoding, templates)],
            "versions": [transformers.__version__, tokenizers.__version__],
        }
    )


def save(examples: list[encoding.Example], folder: Path) -> None:
    """Write the examples into an empty folder."""
    from datasets import Dataset, Features, List, Value, disable_progress_bars

    disable_progress_bars()
    tokens = List(Value("int32"))
    kinds = {
        "uid": Value("string"),
        "input_ids": tokens,
        "labels": tokens,
        "prompt_tokens": Value("int32"),
        "cut": Value("bool"),
    }
    columns = {name: [example[name] for example in examples] for name in kinds}
    Dataset.from_dict(columns, features=Features(kinds)).save_to_disk(str(folder))


def load(folder: Path) -> Flat:
    """The examples of a folder that `save` wrote."""
    from datasets import load_from_disk

    table = load_from_disk(str(folder)).data
    ids, labels, prompt_tokens, cut = (
        table.column(name).combine_chunks() for name in ("input_ids", "labels", "prompt_tokens", "cut")
    )
    return Flat(
        uids=table.column("uid").to_numpy(),
        ids=ids.flatten().to_numpy(),
        labels=labels.flatten().to_numpy(),
        lengths=ids.value_lengths().to_numpy(),
        prompt_tokens=prompt_tokens.to_numpy(),
        cut=cut.to_numpy(zero_copy_only=False),
    )
