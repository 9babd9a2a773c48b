"""python -m frenemy: for where the command `frenemy` is not on the path."""

import sys

from frenemy.cli import main

sys.exit(main())
