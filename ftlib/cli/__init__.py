"""The command line: one module for each group of commands, with parser and action side by side.

`main` is imported on first use, so that importing a submodule stays cheap.
"""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit status; see `ftlib.cli.entry.main`."""
    from ftlib.cli import entry

    return entry.main(arguments)
