"""`python -m ftlib` is the same as `ftlib`."""

import sys

from ftlib.cli.entry import command

if __name__ == "__main__":
    sys.exit(command())
