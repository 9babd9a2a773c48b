"""The verb that builds the paper's Table 1."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from frenemy.choices import DeviceName, OptionalPath, optional
from frenemy.cli.options import AS_THEY_ARE, Prepared


@dataclasses.dataclass(frozen=True)
class Table1Options:
    """What the table is to hold.

    Attributes:
        data: MNIST, faces with --size 48 --grey, or any images, as of `frenemy train`; if none,
            the embedded digits.
        images: how they are prepared.
        out: the folder of its runs and of the table itself: a new one, or one to go on with.
        only: rows by their names, such as dbn gsn; all of them, if none is named.
        runs: finished runs, each of which is taken instead of a row's own training.
        seeds: how many trainings of each model; the table has their mean.
        quick: train each model for a few minutes at most, and say so in every row.
        dry_run: tell what would be trained and about how long, and stop.
        device: where to compute.
    """

    data: OptionalPath = None
    images: Prepared = AS_THEY_ARE
    out: Annotated[Path, arg(metavar="DIR", aliases=["-o"])] = Path("table1")
    only: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    runs: Annotated[tuple[Path, ...], optional("RUN [RUN ...]")] = ()
    seeds: int = 1
    quick: bool = False
    dry_run: bool = False
    device: DeviceName = "auto"


def table1(options: Annotated[OmitArgPrefixes[Table1Options], arg(name="table")]) -> None:
    """Build the paper's Table 1: train all its models, or take finished runs, and judge them alike.

    It goes on where it was stopped, and what is judged is not judged again.

    Args:
        options: what it is to hold.
    """
    from frenemy.data import open_dataset
    from frenemy.errors import FrenemyError
    from frenemy.judge.table1_shown import table1_text
    from frenemy.pictures import load_picture
    from frenemy.table1 import Asked, Shows, prepare
    from frenemy.terminal import TrainingDisplay, console, show, tell, working

    data = open_dataset(options.data, **options.images.arguments)
    names = [field.name for field in dataclasses.fields(Asked)]
    work = prepare(data, Asked(**{name: getattr(options, name) for name in names}))
    tell(data.description)
    with working() as say:
        for line in work.plan(say):
            tell(line)
    if options.dry_run:
        return
    table = work.build(Shows(tell, TrainingDisplay, working))
    console.print(table1_text(table))
    picture, *others = work.files
    show(load_picture(picture))
    print(picture, *others, sep="\n")
    failed = [row.model for row in table.rows if row.faults]
    if failed:
        raise FrenemyError(f"{', '.join(failed)}: failed, as the table says; all else is in it")
