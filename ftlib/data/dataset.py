"""Prepare a raw product file: clean, deduplicate, split, and account for every dropped row.

A random choice across the whole file needs all rows, and keeping all texts needs gigabytes. So the first pass
(`ftlib.data.scan`, on all cores) cleans and filters every row and keeps only its offset and hashes; the second reads the rows
that the splits are drawn from. Of a packed file, which cannot be read from an offset, the first pass also keeps their lines
(`kept_lines`). Splits are drawn by group, because editions of one book share a description, or most of it: near-duplicates
across splits would reward memorization. Run it with `ftlib prepare --data trn.json.gz`; load the result with
`datasets.load_from_disk("runs/NAME/dataset")`.
"""

from __future__ import annotations

import importlib
import itertools
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ftlib.config.settings import Config
from ftlib.data import near_duplicates
from ftlib.data.cleaning import steps_of
from ftlib.data.columns import Columns
from ftlib.data.file_search import data_path, on_sample, present_path
from ftlib.data.funnel import Funnel, KeptRows, clean_rows
from ftlib.data.kept_lines import KeptLines
from ftlib.data.raw_reader import DataError, Row, check_file, decoded, lines_at
from ftlib.data.scan import scan
from ftlib.data.splits import candidate_count, choose
from ftlib.prompts.templates import build_prompt, build_target, question_for
from ftlib.runtime import hardware
from ftlib.runtime.files import write_json

SPLITS = ("train", "validation", "test")
BATCH = 1_000  # rows that are cleaned together
PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 100)


def first_pass(cfg: Config, funnel: Funnel, kept_lines: KeptLines | None = None) -> KeptRows:
    """Scan the whole file: clean, filter and deduplicate; keep offsets and hashes, and of a packed file lines in `kept_lines`.

    Raises:
        DataError: the file cannot be used.
    """
    check_file(present_path(cfg), cfg.data.use_damaged, Columns.of(cfg))
    kept = scan(cfg, data_path(cfg), funnel, kept_lines)
    check_complete(cfg, funnel)
    funnel.rows_in += funnel.malformed.total
    check_readable(cfg, funnel, len(kept))
    if not cfg.data.deduplicate:
        return kept
    first = np.zeros(len(kept), bool)  # of equal rows, the first one in the file is kept
    first[np.unique(kept.pair, return_index=True)[1]] = True
    if not first.all():
        (row,) = rows_at(cfg, kept.offset[np.flatnonzero(~first)[:1]])
        funnel.drop("duplicate", row)
        funnel.dropped["duplicate"] = int((~first).sum())
    return kept.at(first)


def check_complete(cfg: Config, funnel: Funnel) -> None:
    """Reject a truncated file or one with a wrong checksum, unless data.use_damaged is set.

    This runs after the whole file was read, because a packed file ends with its checksum. Raises DataError.
    """
    malformed, rows = funnel.malformed, funnel.rows_in
    if malformed.cut and not malformed.incomplete:
        state = f"is damaged, its checksum differs, after {rows} rows ({malformed.cut})"
    elif malformed.cut or "truncated_line" in malformed.kinds:
        state = f"stops in the middle after {rows} rows ({malformed.cut or 'the last line is not complete'})"
    else:
        return
    if not cfg.data.use_damaged:
        raise DataError(
            f"{data_path(cfg)} {state}: download it again, or use what is there with --set data.use_damaged=true"
        )
    funnel.notes.append(f"the file {state}; data.use_damaged is set, so these rows are used")


def check_readable(cfg: Config, funnel: Funnel, kept: int) -> None:
    """Reject a file with too many malformed lines, or without any usable row. Raises DataError."""
    count, share = funnel.malformed.total, funnel.malformed.total / max(funnel.rows_in, 1)
    kinds = "; ".join(
        f"{kind}: {entry['count']} (first at lines {entry['first_lines']}: {funnel.malformed.why[kind]})"
        for kind, entry in funnel.malformed.kinds.items()
    )
    if not kept:
        dropped = ", ".join(f"{count} {step}" for step, count in funnel.dropped.items())
        reasons = "; ".join(text for text in (dropped, kinds) if text) or "the file is empty: download it again"
        raise DataError(
            f"{data_path(cfg)}: none of {funnel.rows_in} rows can be used ({reasons}); a row needs title and content"
        )
    if share > cfg.data.max_malformed_share:
        enough = math.ceil(share * 1000) / 1000  # rounded up, so that the suggested value is accepted
        raise DataError(
            f"{data_path(cfg)}: {count} of {funnel.rows_in} lines cannot be read ({share:.1%}, allowed "
            f"{cfg.data.max_malformed_share:.1%}): {kinds}. Download the file again, or leave these lines out with "
            f"--set data.max_malformed_share={enough:g}"
        )


def rows_at(cfg: Config, offsets: np.ndarray) -> Iterator[Row]:
    """Yield the cleaned rows at byte offsets of the unpacked file, in file order.

    Raises:
        DataError: the file was changed since the first pass.
    """
    yield from _cleaned(cfg, lines_at(data_path(cfg), sorted(offsets.tolist())))


def _cleaned(cfg: Config, lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield the cleaned rows of lines that the first pass found usable. Raises DataError if they are not."""
    path, steps, columns, remaining = data_path(cfg), steps_of(cfg.data.clean), Columns.of(cfg), iter(lines)
    while rows := [decoded(line, columns) for line in itertools.islice(remaining, BATCH)]:
        if not all(row and row.title and row.content for row in rows):
            raise DataError(f"{path} was changed while it was read: run the same command again")
        clean_rows(rows, steps)
        yield from rows


class SecondPass:
    """Read rows of the file again, each once, although the splits are drawn from more rows than they hold."""

    def __init__(self, cfg: Config, kept: KeptRows, lines: Mapping[int, bytes] | None = None):
        """lines: {offset: line} of rows that need no reading."""
        self._cfg, self._kept, self._lines = cfg, kept, lines or {}
        self._rows: dict[int, Row] = {}

    def read(self, indices: np.ndarray) -> list[Row]:
        """Return the cleaned rows at sorted indices into the usable rows."""
        missing = [index for index in indices.tolist() if index not in self._rows]
        held = [index for index in missing if self._offset(index) in self._lines]
        held_rows = _cleaned(self._cfg, (self._lines[self._offset(index)] for index in held))
        self._rows.update(zip(held, held_rows, strict=True))
        if missing := [index for index in missing if index not in self._rows]:
            self._rows.update(zip(missing, rows_at(self._cfg, self._kept.offset[missing]), strict=True))
        return [self._rows[index] for index in indices.tolist()]

    def _offset(self, index: int) -> int:
        return int(self._kept.offset[index])

    def splits(self, chosen: dict[str, list[int]]) -> dict[str, list[dict]]:
        """Return the chosen rows with their prompts.

        Args:
            chosen: {split: indices into the usable rows}.

        Returns:
            {split: rows}, in the order of `chosen`.
        """
        destination = {index: (split, row_idx) for split in SPLITS for row_idx, index in enumerate(chosen[split])}
        rows: dict[str, list] = {split: [None] * len(chosen[split]) for split in SPLITS}
        indices, uids = np.array(sorted(destination)), set()
        for index, row in zip(indices.tolist(), self.read(indices), strict=True):
            if not row.uid or row.uid in uids:  # completions are stored by uid, so it must be unique
                row.uid = f"{row.uid or 'row'}-{self._kept.row_idx[index]}"
            uids.add(row.uid)
            split, row_idx = destination[index]
            rows[split][row_idx] = dataset_row(row, self._cfg)
        return rows


def dataset_row(row: Row, cfg: Config) -> dict[str, str]:
    """Return one row of the data set: uid, title, question, content, input_text (prompt), target_text."""
    title, content = row.title.strip(), row.content.strip()
    question = question_for(row.uid, cfg.data.seed, cfg.data.questions)
    return {
        "uid": row.uid,
        "title": title,
        "question": question,
        "content": content,
        "input_text": build_prompt(title, question, cfg.prompt.template),
        "target_text": build_target(content, cfg.prompt.prefix),
    }


def prepare(cfg: Config, folder: Path) -> dict:
    """Write the data set (a Hugging Face DatasetDict) to `folder`, with `funnel.json` and `near_duplicates.csv`.

    Returns:
        The funnel.

    Raises:
        DataError: the file cannot be used, or has too few rows.
    """
    started, funnel = time.perf_counter(), Funnel()
    kept_lines = KeptLines(candidate_count(cfg))
    kept = first_pass(cfg, funnel, kept_lines)
    reading = time.perf_counter() - started
    # `save` needs datasets; its import takes half a second and overlaps with the second pass
    threading.Thread(target=importlib.import_module, args=("datasets",), daemon=True).start()
    second_pass = SecondPass(cfg, kept, kept_lines.by_offset())
    choice = choose(cfg, kept, second_pass.read, funnel.notes)
    rows = second_pass.splits(choice.splits)
    chars = {"title": percentiles(kept.title_chars), "content": percentiles(kept.content_chars)}
    count, sizes = len(kept), {split: len(rows[split]) for split in SPLITS}
    del kept, kept_lines, second_pass  # 100 MB for a large file
    save(rows, folder)
    near_duplicates.write(folder, columns_of(rows))
    report = {
        "file": data_path(cfg).name,
        "sample": on_sample(cfg),
        "rows_in": funnel.rows_in,
        "malformed": funnel.malformed.kinds,
        "dropped": funnel.dropped,
        "cleaned": funnel.cleaned,
        "kept": count,
        "split": choice.split,
        "groups": choice.groups,
        "near_duplicates": {"groups": choice.near_groups, "rows": choice.near_rows},
        "splits": sizes,
        "left_out": {
            "held_out_groups": choice.held_out_groups,
            "not_needed": count - sum(sizes.values()) - choice.held_out_groups,
        },
        "notes": funnel.notes,
        "chars": chars,
        "examples": funnel.examples,
        "seconds": round(time.perf_counter() - started, 2),
        "rows_per_s": round(funnel.rows_in / reading),
        "peak_mb": hardware.peak_memory_mb()["ram"],
    }
    write_json(folder / "funnel.json", report)
    return report


def save(rows: dict[str, list[dict]], folder: Path) -> None:
    """Save the splits as a Hugging Face DatasetDict."""
    from datasets import Dataset, DatasetDict, disable_progress_bars  # slow to import, and only needed here

    disable_progress_bars()
    splits = {split: Dataset.from_list(split_rows) for split, split_rows in rows.items()}
    DatasetDict(splits).save_to_disk(str(folder))


def columns_of(rows: dict[str, list[dict]]) -> dict[str, dict[str, list[str]]]:
    """Return {split: {column: values}} of the rows of each split."""
    return {split: {name: [row[name] for row in rows[split]] for name in Row.__struct_fields__} for split in rows}


def percentiles(values) -> dict[str, float]:
    """Return {'mean': …, 'p1': …, 'p50': …} of some numbers; {} if there are none."""
    if not len(values):
        return {}
    results = np.percentile(np.asarray(values), PERCENTILES)
    named = {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, results, strict=True)}
    return {"mean": round(float(np.mean(values)), 1)} | named
