"""`python -m ftlib` is the same as `ftlib`."""

import sys

from ftlib.cli import main

sys.exit(main())
