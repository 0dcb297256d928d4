"""Store votes on answers in one SQLite file, and tally them with a 95 % interval.

Only votes that were cast before the names were shown count towards the result, because a visitor who knows which model
is fine-tuned judges the name; the others are listed apart. A pair of answers counts once: greedy decoding gives the
same pair again, and a visitor who has voted on it has seen the names. `ftlib votes` prints the tally.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from ftlib.evaluation.bootstrap import wilson

CHOICES = ("base", "tuned", "tie")
TABLE = """
create table if not exists votes (
    ask text primary key,  -- one vote for each pair of answers
    time text not null default (datetime('now')),
    model text not null,   -- fingerprint of the tuned model
    blind integer not null,
    choice text not null check (choice in ('base', 'tuned', 'tie')),
    title text not null,
    question text not null,
    base text not null,
    tuned text not null
)
"""
REVEALED = "create table if not exists revealed (model text, key text, primary key (model, key))"
KEPT = 100_000  # keys of pairs whose names were shown; of more, the newest
PAIR_CHARS = 120  # answers that share a prefix of this length count as equal: one more token must not create a new pair
# A blind vote counts if no earlier vote on the same pair, blind or not, has revealed the names. Votes from before `revealed` too.
COUNTS = """
select model, blind and not exists (
    select 1 from votes as earlier where earlier.rowid < votes.rowid and earlier.model = votes.model
    and earlier.base = votes.base and earlier.tuned = votes.tuned
) as counted, choice, count(*) from votes group by model, counted, choice order by min(time)
"""
COLUMNS = ("ask", "model", "blind", "choice", "title", "question", "base", "tuned")


def pair_key(answers: dict[str, str]) -> str:
    """Return a key of a pair of answers, whatever was asked."""
    return _hashed(*(answers[system].strip()[:PAIR_CHARS] for system in ("base", "tuned")))


def question_key(model: str, title: str, question: str, open_book: bool, generation) -> str:
    """Return a key of the pair that a question will get, before it is answered; "" if answers are sampled."""
    if generation.do_sample:
        return ""
    decoding = generation.model_dump(mode="json", exclude={"max_new_tokens", "batch_tokens", "seed"})
    return _hashed("asked", model, title, question, str(bool(open_book)), json.dumps(decoding, sort_keys=True))


def _hashed(*texts: str) -> str:
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


class Votes:
    """The votes of one file, created with the first vote. Several processes may write to it."""

    def __init__(self, path: Path):
        self.path = path

    def cast(self, **vote) -> bool:
        """Store a vote (keys: COLUMNS); return False if this pair of answers was voted on already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            file.execute(TABLE)
            placeholders = ", ".join(f":{name}" for name in COLUMNS)
            cursor = file.execute(f"insert or ignore into votes ({', '.join(COLUMNS)}) values ({placeholders})", vote)  # noqa: S608, our own columns
            return cursor.rowcount == 1

    def reveal(self, model: str, *keys: str) -> None:
        """Record that the names of these pairs were shown (keys: `pair_key`, `question_key`); "" is no key."""
        rows = [(model, key) for key in keys if key]
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            file.execute(REVEALED)
            file.executemany("insert or ignore into revealed values (?, ?)", rows)
            file.execute("delete from revealed where rowid <= (select max(rowid) from revealed) - ?", (KEPT,))

    def revealed(self, model: str, *keys: str) -> bool:
        """Return whether the names of one of these pairs were shown."""
        if not self.path.exists():
            return False
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            file.execute(REVEALED)
            placeholders = ", ".join("?" * len(keys))
            query = f"select 1 from revealed where model = ? and key in ({placeholders})"  # noqa: S608, only question marks
            return file.execute(query, (model, *keys)).fetchone() is not None

    def counts(self) -> dict[tuple[str, bool], dict[str, int]]:
        """Return {(model, blind): {choice: votes}}; {} if nobody voted. Only the first vote on a pair counts as blind."""
        if not self.path.exists() or not self.path.stat().st_size:  # a full disk leaves an empty file
            return {}
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            counts: dict = {}
            file.execute(TABLE)
            for model, blind, choice, count in file.execute(COUNTS):
                counts.setdefault((model, bool(blind)), dict.fromkeys(CHOICES, 0))[choice] = count
            return counts


def tally(votes: Votes) -> str:
    """Format the tally: for each fine-tuned model the share of decided votes that it won, blind votes first."""
    lines = []
    for (model, blind), counts in sorted(votes.counts().items(), key=lambda item: not item[0][1]):
        wins, losses, ties = counts["tuned"], counts["base"], counts["tie"]
        low, high = wilson(wins, losses)
        share = f"{wins / (wins + losses):.0%}" if wins + losses else "unknown"
        kind = "blind votes" if blind else "votes by people who knew which model was which (no evidence)"
        lines.append(
            f"model {model}, {kind}: tuned better {wins}, base better {losses}, equal {ties}; of the decided votes "
            f"tuned won {share} [{low:.0%}, {high:.0%}]"
        )
        if blind:
            lines.append("  " + _reading(low, high))
    return "\n".join(lines) or f"no votes yet in {votes.path}: `ftlib serve` opens the page on which they are cast"


def _reading(low: float, high: float) -> str:
    if low > 0.5:
        return "the interval lies above one half: people prefer the tuned model"
    if high < 0.5:
        return "the interval lies below one half: people prefer the base"
    return "the interval holds one half: more votes are needed to tell"
