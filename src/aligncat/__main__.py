"""Run the command line: `python -m aligncat VERB [options]`."""

from __future__ import annotations

import sys

from aligncat.cli import main

if __name__ == "__main__":  # spawned worker processes import this module too
    sys.exit(main())
