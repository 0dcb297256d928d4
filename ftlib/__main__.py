"""`python -m ftlib` is the same as `ftlib`."""

from ftlib.cli.entry import command

if __name__ == "__main__":
    command()
