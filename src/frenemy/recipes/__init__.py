"""Recipes: typed functions named after a row of a paper. Their signatures are the command line."""

from frenemy.recipes.ours import digits, mnist
from frenemy.recipes.paper2014 import (
    cifar2014,
    cifar2014_conv,
    digits2014,
    faces2014,
    mnist2014,
)

__all__ = ["cifar2014", "cifar2014_conv", "digits", "digits2014", "faces2014", "mnist", "mnist2014"]
