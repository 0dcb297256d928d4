"""Which answer is better? People's votes, kept in one SQLite file, and their tally with an interval.

Why: the reference never asked a person. Why blind: whoever knows which model is the trained one judges the name, so only
votes that were cast before the names were shown count towards the result; the others are listed apart.
How: the page of `ftlib serve` casts them; `ftlib votes` prints the tally.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ftlib.intervals import wilson

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
COLUMNS = ("ask", "model", "blind", "choice", "title", "question", "base", "tuned")


class Votes:
    """The votes of one file; made when the first vote is cast. Several processes may write to it."""

    def __init__(self, path: Path):
        self.path = path

    def cast(self, **vote) -> bool:
        """Keep a vote (keys: COLUMNS); False if this pair of answers was voted on already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            file.execute(TABLE)
            places = ", ".join(f":{name}" for name in COLUMNS)
            done = file.execute(f"insert or ignore into votes ({', '.join(COLUMNS)}) values ({places})", vote)  # noqa: S608, our own columns
            return done.rowcount == 1

    def counts(self) -> dict[tuple[str, bool], dict[str, int]]:
        """{(model, blind): {choice: number of votes}}; {} if nobody voted."""
        if not self.path.exists():
            return {}
        with closing(sqlite3.connect(self.path, timeout=30)) as file:
            found: dict = {}
            for model, blind, choice, count in file.execute(
                "select model, blind, choice, count(*) from votes group by model, blind, choice order by min(time)"
            ):
                found.setdefault((model, bool(blind)), dict.fromkeys(CHOICES, 0))[choice] = count
            return found


def tally(votes: Votes) -> str:
    """The tally in words: for each tuned model the share of decided votes that it won, blind votes first."""
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
