"""The errors that a user can mend: the command line prints them in one line, without a traceback."""


class FtlibError(Exception):
    """What is wrong and the next thing to do. Every error that ftlib raises on purpose for a user derives from it."""
