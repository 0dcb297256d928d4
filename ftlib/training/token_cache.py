"""Cache encoded rows as an Arrow data set and read them back as flat arrays.

Encoding takes time before every training and does not depend on the learning rate. Reading takes a few calls for all
rows. `ftlib train` caches in `<run>/dataset/encoded/<key>/`, so the cache is removed when the data set is rebuilt.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.prompts import encoding, templates
from ftlib.prompts.packing import Flat, to_flat
from ftlib.prompts.parallel_encoding import encode_on_all_cores
from ftlib.prompts.templates import DEFAULT_FORMAT, Passages, PromptFormat
from ftlib.runtime import distributed
from ftlib.runtime.files import build_once, file_fingerprint, fingerprint


def encoded(
    tokenizer,
    splits: Sequence[tuple[Any, Any]],
    cache_folder: Path | None,
    passages: Mapping[str, Passages] | None = None,
    prompt_format: PromptFormat = DEFAULT_FORMAT,
) -> list[Flat]:
    """Encode the rows of some splits, or read them from the cache in `cache_folder` (None: no cache). Rank 0 encodes.

    Args:
        tokenizer: of the model.
        splits: (rows, settings of the training); no two alike.
        cache_folder: of the data set.
        passages: {uid: catalog rows in its prompt}.
        prompt_format: `cfg.prompt_format`.
    """
    keys = [key_of(tokenizer, *split, passages, prompt_format) if cache_folder else None for split in splits]
    flats: list = [None] * len(splits)
    with contextlib.ExitStack() as building:
        partials: dict[int, Path] = {}  # folders of the splits to encode
        for index, key in enumerate(keys):
            if key and distributed.first() and (partial := building.enter_context(build_once(cache_folder / key))):
                partials[index] = partial
        wanted = [index for index, key in enumerate(keys) if key is None or index in partials]
        found = encode_on_all_cores(tokenizer, [splits[i] for i in wanted], (), passages, prompt_format, arrays=True)
        for index, examples in zip(wanted, found, strict=True):
            flats[index] = to_flat(examples)
            if index in partials:
                save(flats[index], partials[index])
    if any(keys):
        distributed.wait()
    return [load(cache_folder / key) if key else flat for key, flat in zip(keys, flats, strict=True)]


def key_of(
    tokenizer,
    rows,
    train_config,
    passages: Mapping[str, Passages] | None = None,
    prompt_format: PromptFormat = DEFAULT_FORMAT,
) -> str | None:
    """Return a fingerprint of everything that determines ids and labels; None for a tokenizer or rows without one."""
    import tokenizers
    import transformers

    backend, rows_are = getattr(tokenizer, "backend_tokenizer", None), getattr(rows, "_fingerprint", None)
    if backend is None or rows_are is None:
        return None
    backend.no_truncation()  # as every call of `prompts` sets it: the state left by an earlier call must not matter
    backend.no_padding()
    content = hashlib.sha256(backend.to_str().encode()).hexdigest()
    return fingerprint(
        {
            "rows": rows_are,
            "tokenizer": [content, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id],
            "settings": encoding.encoding_settings(train_config),
            "passages": fingerprint({uid: passages[uid] for uid in rows["uid"] if uid in passages})
            if passages
            else None,
            "prompt": prompt_format,
            "code": [file_fingerprint(Path(module.__file__)) for module in (encoding, templates)],
            "versions": [transformers.__version__, tokenizers.__version__],
        }
    )


def save(examples: Flat, folder: Path) -> None:
    """Write the examples into an empty folder."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    starts = pa.array(examples.starts, pa.int32())
    columns = {
        "uid": pa.array(examples.uids, pa.string()),
        "input_ids": pa.ListArray.from_arrays(starts, pa.array(examples.ids, pa.int32())),
        "labels": pa.ListArray.from_arrays(starts, pa.array(examples.labels, pa.int32())),
        "prompt_tokens": pa.array(examples.prompt_tokens, pa.int32()),
        "cut": pa.array(examples.cut, pa.bool_()),
    }
    Dataset(pa.table(columns)).save_to_disk(str(folder))


def load(folder: Path) -> Flat:
    """Read the examples of a folder that `save` wrote."""
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
