"""Table 1 of the paper, from training to table."""

from frenemy.table1.build import Asked, Shows, Work, prepare
from frenemy.table1.rows import ROWS, Given, Rival

__all__ = ["ROWS", "Asked", "Given", "Rival", "Shows", "Work", "prepare"]
