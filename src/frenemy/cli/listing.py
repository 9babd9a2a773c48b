"""The verbs that say what there is: recipes, and images."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from frenemy.cli.options import AS_THEY_ARE, Out, Prepared, optional
from frenemy.errors import FrenemyError


def recipes() -> None:
    """List the recipes: what each trains, from which paper, and its published result."""
    from rich.table import Table

    from frenemy import recipes as all_recipes
    from frenemy.terminal import console

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, recipe in all_recipes.RECIPES.items():
        table.add_row(f"[bold]{name}", inspect.getdoc(recipe))
    console.print(table)


def data(
    path: Annotated[Positional[Path | None], optional("[PATH]")] = None,
    images: Prepared = AS_THEY_ARE,
    out: Out = None,
) -> None:
    """Describe a set of images: count, sizes, modes, duplicates, unreadable files; a contact sheet.

    Args:
        path: as --data of `train`; the embedded digits if none is given.
        images: how they are prepared.
        out: the contact sheet; it is drawn in the cache folder, so that it joins no images, if no
            other place is given.
    """
    from frenemy.data import describe
    from frenemy.data.places import SHEET, is_passed_over
    from frenemy.data.report import report_table
    from frenemy.pictures import enlarge, grid, require_picture, save_picture
    from frenemy.places import cache_folder, require_place
    from frenemy.terminal import console

    out = out or cache_folder() / SHEET
    if path is not None and path.resolve() in out.resolve().parents:
        within = out.resolve().relative_to(path.resolve())
        if not any(map(is_passed_over, within.parts)):
            raise FrenemyError(
                f"{out} would lie among the images of {path}: give another place by -o"
            )
    require_picture(out)
    require_place(out)
    report = describe(path, **images.arguments)
    sheet = save_picture(grid(enlarge(report.thumbnails)), out)
    console.print(report_table(report))
    print(sheet)
