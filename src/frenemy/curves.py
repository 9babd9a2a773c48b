"""What the logs of runs hold, drawn over their rounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, MaxNLocator

from frenemy.errors import FrenemyError
from frenemy.escapes import printable
from frenemy.figures import BLUE, GREEN, GREY, PURPLE, VERMILION, Figure
from frenemy.names import known
from frenemy.run import Run
from frenemy.runs import data_name

NO_QUANTITY = ("step", "epoch", "stage", "findings")
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, GREY)
DASHES = ("-", "--", ":")
POINTS = 200  # of a curve: of more rows, the means of as many neighbours
DECADES = 100.0  # the largest over the smallest value, from which an axis is logarithmic
LONGEST = 48  # characters of a label
ACROSS = 3  # panels

Curve = tuple[Sequence[float], Sequence[float]]
"""Where along the axis, and the values there."""


def curves(runs: Sequence[Run], quantities: Sequence[str] = ()) -> Figure:
    """A panel for each quantity, with a curve for each run that has it.

    Args:
        runs: one or more.
        quantities: as the logs name them; all but health's if none is named.

    Raises:
        FrenemyError: the logs are empty, or none has such a quantity.
    """
    logs = [run.rows() for run in runs]
    names = list(dict.fromkeys(name for rows in logs for row in rows for name in row))
    there = [name for name in names if name not in NO_QUANTITY]
    if not there:
        raise FrenemyError(f"{runs[0].path}: nothing is logged yet: rows come every 50 rounds")
    chosen = [known(name, there, "quantity") for name in dict.fromkeys(quantities)]
    chosen = chosen or [name for name in there if not name.startswith("health/")] or there
    chosen = chosen if quantities else sorted(chosen, key=_rank)
    labels, scales, axis = labels_of(runs), [1.0] * len(runs), "round"
    sizes = [run.header["arguments"].get("minibatch") for run in runs]
    if len(set(sizes)) > 1 and all(type(size) is int for size in sizes):
        scales, axis = [float(size) for size in sizes], "images"
    panels = {
        name: [_curve(rows, name, scale) for rows, scale in zip(logs, scales, strict=True)]
        for name in chosen
    }
    across = min(ACROSS, len(chosen)) if len(chosen) != 4 else 2
    down = math.ceil(len(chosen) / across)

    def draw(canvas: Canvas) -> None:
        canvas.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
        for i, (name, found) in enumerate(panels.items(), 1):
            axes = canvas.add_subplot(down, across, i)
            _panel(axes, found, labels)
            axes.set(title=name.replace("$", r"\$"), xlabel=axis)
        if len(runs) > 1:
            lines = {line.get_label(): line for a in canvas.axes for line in a.lines}
            shown = [label for label in labels if label in lines]
            canvas.legend(
                [lines[label] for label in shown],
                [label.replace("$", r"\$") for label in shown],
                loc="outside lower center",
                ncols=max(1, min(len(runs), across, 100 // max(map(len, labels)))),
            )

    told = [
        f"{name} ends at " + ", ".join(f"{y[-1]:.3g} ({label})" for label, (_, y) in ends)
        for name, found in panels.items()
        if (ends := [pair for pair in zip(labels, found, strict=True) if pair[1][1]])
    ]
    of = labels[0] if len(runs) == 1 else f"{len(runs)} runs"
    averaged = any(len(rows) > POINTS for rows in logs)
    caption = f"{', '.join(chosen)} of {of}, as logged"
    caption += f"; lines are means of neighbours, {POINTS} a curve." if averaged else "."
    legend = 0.3 * math.ceil(len(runs) / across) if len(runs) > 1 else 0.0
    size = (4.2 * across + 0.2, 3.1 * down + legend)
    return Figure(draw, f"Curves of {of}. {'; '.join(told)}", caption, size)


def _rank(name: str) -> tuple[int, str]:
    """Players' terms first, then D's outputs, then what was validated."""
    player, _, term = name.partition("/")
    return (2, "") if player == "validation" else (0, player) if term else (1, "")


def labels_of(runs: Sequence[Run]) -> list[str]:
    """What each run is called: what differs between them, or its name where that is much or little.

    The names are as long as they have to be to differ.
    """
    facts = [_facts(run) for run in runs]
    names = dict.fromkeys(name for one in facts for name in one)
    differing = [n for n in names if len({repr(one.get(n)) for one in facts}) > 1]
    labels = [", ".join(f"{n} {one[n]}" for n in differing if n in one) for one in facts]
    if all(0 < len(label) <= LONGEST for label in labels) and len(set(labels)) == len(runs):
        return [*map(printable, labels)]
    parts = [run.path.absolute().parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(part[-count:]) for part in parts]
        if len(set(labels)) == len(runs):
            break
    return [*map(printable, labels)]


def _facts(run: Run) -> dict[str, Any]:
    """What was chosen for a run, by name: numbers and words alone."""
    header = run.header
    told = {"recipe": header["recipe"], "data": data_name(header), **header["arguments"]}
    told |= {"precision": header.get("precision"), "mirror": header.get("mirror")}
    told |= {**header["target"], "seed": header["seed"]}
    return {k: v for k, v in told.items() if isinstance(v, str | int | float | bool)}


def _curve(rows: Sequence[Mapping[str, Any]], name: str, scale: float) -> Curve:
    """A quantity of a log, in at most `POINTS` means of neighbours."""
    found = [(row["step"] * scale, row[name]) for row in rows if name in row]
    found = [pair for pair in found if isinstance(pair[1], int | float) and math.isfinite(pair[1])]
    if len(found) <= POINTS:
        return [x for x, _ in found], [y for _, y in found]
    means = [part.mean(0) for part in np.array_split(np.array(found, float), POINTS)]
    return [float(mean[0]) for mean in means], [float(mean[1]) for mean in means]


def _panel(axes: Axes, found: Sequence[Curve], labels: Sequence[str]) -> None:
    styles = [(colour, dash) for dash, colour in itertools.product(DASHES, COLOURS)]
    for (x, y), label, (colour, dash) in zip(found, labels, itertools.cycle(styles), strict=False):
        if y:
            few = "o" if len(y) <= 20 else ""
            axes.plot(
                x, y, dash, color=colour, label=label, marker=few, markersize=3, linewidth=1.6
            )
    values = [value for _, y in found for value in y]
    if values and min(values) > 0 and max(values) > DECADES * min(values):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25)
