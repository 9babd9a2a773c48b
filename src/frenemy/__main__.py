"""python -m frenemy: for where the command `frenemy` is not on the path."""

import os
import sys

from frenemy.cli import main

status = main()
if "WORLD_SIZE" in os.environ:  # gloo may abort at the interpreter's own exit
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
sys.exit(status)
