"""The verbs that look at several runs: they list them, and draw their curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from frenemy.choices import optional


def runs(
    folder: Annotated[Positional[Path], arg(metavar="[FOLDER]")] = Path("runs"), json: bool = False
) -> None:
    """List the runs in a folder: what is played, how far, its last numbers; the newest first.

    Args:
        folder: that holds runs, or folders of runs.
        json: print all that is known of each as JSON.
    """
    from frenemy.runs import runs_in, runs_json, runs_table

    found = runs_in(folder)
    if json:
        print(runs_json(found), end="")
        return
    from frenemy.terminal import console

    console.print(runs_table(found))


def plot(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
    quantity: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = (),
    out: Annotated[Path, arg(aliases=["-o"])] = Path("plot.png"),
) -> None:
    """Draw what the logs of runs hold over their rounds: a panel for each quantity, all runs in it.

    Args:
        runs: one or more.
        quantity: what is drawn, as log.jsonl names it: D(x), validation/kid, health/diversity ...;
            all but health's, if none is named.
        out: the drawing: .svg, or a picture such as .png.
    """
    from frenemy.curves import curves
    from frenemy.errors import FrenemyError
    from frenemy.figures import require_drawing
    from frenemy.run import Run

    if not runs:
        raise FrenemyError("plot what? give runs")
    require_drawing(out)
    figure = curves([Run.open(path) for path in runs], quantity)
    print(figure.caption)
    print(figure.save(out))
