"""Game trees, from JSON or grown: their search by minimax and alpha-beta, and their drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from frenemy.errors import FrenemyError
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas

DEPTH = 100  # of the deepest tree; searches call themselves once a move
NODES = 200_000  # of the largest tree
BYTES = 4_000_000  # of the largest file
WIDTH, LEVELS = 12, 6  # of the part of a tree that is drawn


@dataclass(frozen=True, eq=False)
class Node:
    """A position: a leaf with its worth to the maximiser, or one with a child for each move.

    Attributes:
        move: the name of the move that leads here.
        value: of a leaf.
        children: none of a leaf.
        depth: moves from here to the farthest leaf.
    """

    move: str = ""
    value: float = math.nan
    children: tuple[Node, ...] = ()

    @cached_property
    def depth(self) -> int:
        return 1 + max((child.depth for child in self.children), default=-1)


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        value: of the tree to the maximiser, if both play their best.
        line: the positions of that play, from the root to a leaf: the principal line.
        values: of every position that was visited, backed up from below; where alpha-beta cut, a
            bound.
    """

    value: float
    line: tuple[Node, ...]
    values: Mapping[Node, float]

    @property
    def leaves(self) -> int:
        """How many leaves were visited."""
        return sum(not node.children for node in self.values)


def minimax(
    tree: Node,
    *,
    prune: bool = False,
    guess: Mapping[Node, float] | None = None,
    maximiser_first: bool = True,
) -> Search:
    """The value of a game by backtracking: down to a leaf, one move back, down the next move.

    v(p) is a leaf's value; the largest v of the moves, where the maximiser moves; the smallest,
    where the minimiser does. The two alternate. von Neumann (1928), Zur Theorie der
    Gesellschaftsspiele.

    Args:
        tree: the position to search.
        prune: by alpha-beta: what is left at a position is skipped, once its value cannot change
            the root's. Knuth & Moore (1975), An Analysis of Alpha-Beta Pruning.
        guess: values of all positions; the best of a position's moves by them is searched first. As
            each is good for a cut, the better the guess, the fewer leaves are visited.
        maximiser_first: who moves at the root.

    >>> tree = tree_of([[3, 5], [2, 9]])
    >>> minimax(tree).value, minimax(tree).leaves, minimax(tree, prune=True).leaves
    (3.0, 4, 3)
    """
    values: dict[Node, float] = {}
    best: dict[Node, Node] = {}

    def backed_up(node: Node, maximises: bool, alpha: float, beta: float) -> float:
        """Exact between alpha, which the maximiser has elsewhere, and beta, the minimiser's."""
        children = node.children
        if guess is not None:
            children = sorted(children, key=guess.__getitem__, reverse=maximises)
        value = -math.inf if maximises else math.inf
        for child in children:
            v = backed_up(child, not maximises, alpha, beta)
            if node not in best or (v > value if maximises else v < value):
                value, best[node] = v, child
            if maximises:
                alpha = max(alpha, value)
            else:
                beta = min(beta, value)
            if prune and alpha >= beta:
                break
        values[node] = value if children else node.value
        return values[node]

    value = backed_up(tree, maximiser_first, -math.inf, math.inf)
    line = [tree]
    while line[-1] in best:
        line.append(best[line[-1]])
    return Search(value, tuple(line), values)


def tree_of(data: Any) -> Node:
    """A tree from what JSON holds: numbers are leaves, lists and objects are positions.

    The moves of a list are named 1, 2, ..., those of an object by its keys.

    Raises:
        FrenemyError: a position has no moves or is none of these, a number is not finite, or the
            tree is deeper than 100 moves or larger than 200,000 positions.

    >>> [child.move for child in tree_of({"left": [2, 9], "right": 3}).children]
    ['left', 'right']
    """
    count = 0

    def grown(data: Any, path: tuple[str, ...]) -> Node:
        nonlocal count
        count += 1
        where = f"position {' / '.join(path)!r:.60}" if path else "the root"
        if count > NODES:
            raise FrenemyError(f"the tree is too large: give at most {NODES:,} positions")
        if len(path) > DEPTH:
            raise FrenemyError(f"the tree is too deep: give at most {DEPTH} moves in a row")
        move = "".join(filter(str.isprintable, path[-1])) if path else ""
        if isinstance(data, list):
            data = {str(i): child for i, child in enumerate(data, 1)}
        if isinstance(data, dict):
            if not data:
                raise FrenemyError(f"{where} has no moves: give one or more, or a number")
            return Node(move, children=tuple(grown(v, (*path, k)) for k, v in data.items()))
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise FrenemyError(f"{where} is {data!r:.20}: give a number, a list or an object")
        try:
            value = float(data)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise FrenemyError(f"{where} is too large or not a number: give a finite one")
        return Node(move, value)

    return grown(data, ())


def read_tree(path: Path) -> Node:
    """A tree from a JSON file, as `tree_of` has it.

    Raises:
        FrenemyError: the file cannot be read, is no JSON, or is no such tree.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        moves = dict(pairs)
        if len(moves) < len(pairs):
            raise ValueError("two moves of a position have one name")
        return moves

    try:
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise ValueError(f"larger than {BYTES:,} bytes")
        return tree_of(json.loads(content, object_pairs_hook=once))
    except OSError as error:
        raise FrenemyError(f"{path}: {error.strerror or error}") from None
    except RecursionError:
        raise FrenemyError(f"{path}: the tree is too deep: give at most {DEPTH} moves") from None
    except (ValueError, FrenemyError) as error:
        raise FrenemyError(f"{path}: {error}") from None


def uniform_tree(branching: int, depth: int, rng: np.random.Generator) -> Node:
    """A tree with `branching` moves everywhere and leaves 0, 1, ... in random order."""
    level = [
        Node(str(i % branching + 1), float(v))
        for i, v in enumerate(rng.permutation(branching**depth))
    ]
    for _ in range(depth):
        groups = range(0, len(level), branching)
        level = [
            Node(str(n % branching + 1), children=tuple(level[i : i + branching]))
            for n, i in enumerate(groups)
        ]
    return level[0]


def draw_tree(root: Node, full: Search, cut: Search, canvas: Canvas) -> None:
    """Draws the top of a tree, opened level by level as far as its leaves find room.

    Args:
        root: of the tree.
        full: minimax's search, whose values and principal line are drawn.
        cut: alpha-beta's, which visited less.
        canvas: to draw on.
    """
    labels = {
        node: f"{v:.3g}".replace("-", "−").replace("e+0", "e") for node, v in full.values.items()
    }
    most = WIDTH if max(map(len, labels.values())) <= 3 else WIDTH // 2
    levels, width = {root: 0}, 1
    for node in (queue := [root]):
        room = width + len(node.children) - 1 <= most and levels[node] < LEVELS
        if node.children and room:
            width += len(node.children) - 1
            queue += node.children
            levels |= dict.fromkeys(node.children, levels[node] + 1)
    opened = [node for node in levels if node.children and node.children[0] in levels]
    x: dict[Node, float] = {}

    def place(node: Node) -> float:
        if node in opened:
            x[node] = sum(place(child) for child in node.children) / len(node.children)
        else:
            x[node] = sum(other not in opened for other in x)
        return x[node]

    place(root)

    axis = canvas.subplots()
    for node in opened:
        for child in node.children:
            seen, chosen = child in cut.values, child in full.line
            ends = ([x[node], x[child]], [-levels[node], -levels[child]])
            axis.plot(
                *ends,
                color=GREEN if chosen else INK if seen else GREY,
                lw=4 if chosen else 1.2,
                ls="-" if seen else ":",
                zorder=1,
            )
            across, down = (0.6 * a + 0.4 * b for a, b in ends)
            if not seen and node in cut.values:
                axis.plot(*[(a + 2 * b) / 3 for a, b in ends], color=GREY, marker="x", ms=10, mew=2)
            if len(x) <= 8 and not child.move.isdigit():
                name, side = f" {child.move[:8]} ", "right" if x[child] < x[node] else "left"
                axis.text(across, down, name, ha=side, va="bottom", parse_math=False)
    for node, level in levels.items():
        inside, (colour, mover) = node in opened, (VERMILION, "v") if level % 2 else (BLUE, "^")
        if node.children:
            marker, size = (mover, 14) if inside else ("s", 10)
            axis.plot(x[node], -level, color=colour, marker=marker, ms=size)
        axis.annotate(
            labels[node],
            (x[node], -level),
            xytext=(12, 0) if inside else (0, -7 if node.children else -2),
            textcoords="offset points",
            color=INK if node in cut.values else GREY,
            ha="left" if inside else "center",
            va="center" if inside else "top",
        )
    movers = sorted({levels[node] for node in opened})
    names = ["minimiser" if level % 2 else "maximiser" for level in movers]
    axis.set_yticks([-level for level in movers], names)
    axis.set(xticks=[], ylim=(-max(levels.values()) - 0.5, 0.3), xlim=(-0.6, width - 0.2))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
