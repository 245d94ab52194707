"""`python -m manyways` is the command `manyways`."""

import os
import sys

# `python -m` puts the current folder before all others, so that a file in it would be imported in the place of a
# library. What a person types is looked for there, too, by `manyways.typed`.
if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
    del sys.path[0]

from manyways.cli import main

if __name__ == "__main__":
    sys.exit(main())
