"""Lesson: minimax search of a game tree, and the paper's min over G of max over D as one."""

from __future__ import annotations

import itertools
import math
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least
from frenemy.figures import GREEN, GREY, VERMILION, Canvas, Figure
from frenemy.lab import search
from frenemy.lab.lesson import Check, Formula, Result
from frenemy.lab.search import Node, Search, minimax, tree_of

SLIDES = {"left": {"a": 2, "b": 9}, "right": {"a": 3, "b": 5}}  # right guarantees 3, left 2
LEAVES = 20_000  # of the largest random tree
HEADS = 0.4  # p_data(heads)
P_G = [i / 10 for i in range(11)]  # from which G chooses p_g(heads)
D = list(itertools.product([i / 20 for i in range(1, 20)], repeat=2))  # D(heads), D(tails)


def game_tree(
    *,
    seed: Annotated[int, Doc("of the random trees")] = 0,
    tree: Annotated[Path | None, Doc("JSON: nested lists or objects of numbers")] = None,
    branching: Annotated[int, Doc("moves b at each position of the random trees")] = 3,
    depth: Annotated[int, Doc("moves d to the leaves of the deepest of them")] = 7,
    trees: Annotated[int, Doc("random trees of each depth")] = 10,
) -> Result:
    """Minimax finds what a player can guarantee; alpha-beta finds it sooner.

    Raises:
        FrenemyError: the file is no such tree, or an argument is out of its range.
    """
    at_least(0, seed=seed)
    at_least(1, branching=branching, depth=depth, trees=trees)
    if depth > search.DEPTH or branching**depth > LEAVES:
        raise FrenemyError(f"{branching}^{depth} leaves are too many: give at most {LEAVES:,}")
    root = tree_of(SLIDES) if tree is None else search.read_tree(tree)
    full, cut, best = _searches(root)

    rng = np.random.default_rng(seed)
    depths = np.arange(1, depth + 1)
    found = [
        [_searches(search.uniform_tree(branching, int(d), rng)) for _ in range(trees)]
        for d in depths
    ]
    differ = sum(len({s.value for s in one}) > 1 for row in found for one in row)
    leaves = np.array([[[s.leaves for s in one] for one in row] for row in found])  # (d, trees, 3)
    fewest = branching ** -(-depths // 2) + branching ** (depths // 2) - 1

    replies = tree_of({f"{q}": {f"{d}": _value(q, *d) for d in D} for q in P_G})
    answers = tree_of({f"{d}": {f"{q}": _value(q, *d) for q in P_G} for d in D})
    min_max = minimax(replies, prune=True, maximiser_first=False)
    max_min = minimax(answers, prune=True)

    checks = [
        Check("alpha-beta: minimax's value", cut.value, full.value, 0),
        Check("alpha-beta, best moves first: minimax's value", best.value, full.value, 0),
        Check(f"random trees, of {trees * depth}, on which their values differ", differ, 0, 0),
        *(
            Check(
                f"leaves, best moves first, b = {branching}, d = {d}: b^⌈d/2⌉ + b^⌊d/2⌋ − 1",
                row[np.abs(row - least).argmax()],  # of all trees, the farthest from it
                least,
                0,
            )
            for d, row, least in zip(depths, leaves[..., 2], fewest, strict=True)
        ),
        Check(  # fewer would prove nothing
            f"leaves, random order, d = {depth}: no fewer",
            leaves[-1, :, 1].min(),
            fewest[-1],
            0,
            relation="at least",
        ),
        # sums of four logarithms, of which each is rounded at 1e-16
        Check("a coin: min over G of max over D", min_max.value, -math.log(4), 1e-12),
        Check("a coin: max over D of min over G", max_min.value, -math.log(4), 1e-12),
        Check("a coin: G's best p_g(heads) is p_data's", float(min_max.line[1].move), HEADS, 0),
    ]
    story = "The maximiser moves first, then the two move in turn."
    play = ", ".join(node.move[:20] for node in full.line[1:9]) or "no move"
    if tree is None:
        left, right = (full.values[child] for child in root.children)
        checks = [
            Check("slides' tree: value", full.value, 3, 0),
            Check("slides' tree: right guarantees", right, 3, 0),
            Check("slides' tree: left guarantees", left, 2, 0),
            Check("slides' tree: leaves, best moves first", best.leaves, 3, 0),
            *checks,
        ]
        story += (
            f" In the slides' tree, left guarantees {left:g} and right {right:g}: right is best."
        )
    told = f"""\
{story} Minimax search goes down to a leaf, takes one move back, goes down the next, and backs up \
the largest value where the maximiser moves and the smallest where the minimiser does. The value \
is {full.value:g}; the best play for both is {play}{", ..." if len(full.line) > 9 else ""}.

Alpha-beta skips what cannot matter: once a reply refutes a move, the other replies to it need no \
look. Of {full.leaves} leaves it visits {cut.leaves} in the order given, and {best.leaves} if the \
best moves are tried first; the value stays the same. In that order the leaves visited \
grow as the square root of all leaves: to {leaves[-1, 0, 2]} of {leaves[-1, 0, 0]}, with \
{branching} moves at each of {depth} levels. In random order they are {leaves[-1, :, 1].mean():.0f}.

min over G of max over D of V(D, G) is such a tree: G moves first, D replies to the G it sees. Let \
the data be a coin with p(heads) = {HEADS}, G choose p_g(heads) among {len(P_G)} values and D its \
two outputs among {len(D)} pairs. Backed up, the value is −{-min_max.value:.4f}, −log 4; G chooses \
{min_max.line[1].move} and D answers {min_max.line[2].move}; alpha-beta needs {min_max.leaves} of \
{len(P_G) * len(D)} leaves. The order of moves does not matter here: if D moves first, the value \
is the same, as V is linear in p_g and concave in D. Networks that take gradient steps are no \
such players: neither of them searches a tree to its end."""
    figures = [
        Figure(
            partial(search.draw_tree, root, full, best),
            f"A game tree of value {full.value:g}. Best play: {play}. Alpha-beta visits "
            f"{best.leaves} of {full.leaves} leaves.",
            "Values backed up from the leaves; the principal line is green. Alpha-beta, best moves "
            "first, does not visit what is grey beyond a cross. Squares are closed subtrees.",
            (5, 1.2 + 0.9 * min(root.depth + 1, search.LEVELS)),
        ),
        Figure(
            partial(_leaves, branching, depths, leaves, fewest),
            f"Leaves visited at depth {depth}: all {leaves[-1, 0, 0]}; alpha-beta in random order "
            f"{leaves[-1, :, 1].mean():.0f}, best moves first {leaves[-1, 0, 2]}.",
            f"Leaves visited in trees of {branching} moves a position, measured (dots) and by "
            "formula (lines).",
            (5, 4.2),
        ),
    ]
    return Result(told, FORMULAS, checks, figures)


def _searches(root: Node) -> tuple[Search, Search, Search]:
    """Minimax, alpha-beta, and alpha-beta with the best moves first."""
    full = minimax(root)
    return full, minimax(root, prune=True), minimax(root, prune=True, guess=full.values)


def _value(q: float, heads: float, tails: float) -> float:
    """V(D, G) of the coin: E_data log D + E_g log(1 - D), with p_g(heads) = q."""
    data = HEADS * math.log(heads) + (1 - HEADS) * math.log(tails)
    return data + q * math.log(1 - heads) + (1 - q) * math.log(1 - tails)


def _leaves(
    branching: int, depths: np.ndarray, leaves: np.ndarray, fewest: np.ndarray, canvas: Canvas
) -> None:
    """Leaves visited against depth."""
    axis = canvas.subplots()
    rows = (
        (GREY, "s", "-", "all, bᵈ", (1.0 * branching) ** depths),
        (VERMILION, "^", ":", "alpha-beta, random order", leaves[..., 1].mean(1)),
        (GREEN, "o", "--", "alpha-beta, best moves first", fewest),
    )
    for i, (colour, marker, dash, label, line) in enumerate(rows):
        axis.semilogy(depths, line, color=colour, ls=dash)
        measured = leaves[..., i].mean(1)
        axis.semilogy(depths, measured, color=colour, ls=dash, marker=marker, ms=6, label=label)
    axis.set(xlabel="depth d", ylabel="leaves visited", xticks=depths[:: 1 + len(depths) // 10])
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), handlelength=3)


FORMULAS = (
    Formula(
        r"v(p) = \begin{cases} \text{worth of } p & \text{leaf} \\ \max_i v(p_i) &"
        r" \text{maximiser moves} \\ \min_i v(p_i) & \text{minimiser moves} \end{cases}",
        "The value of a position p with the moves p → p_i.",
        "von Neumann (1928), Zur Theorie der Gesellschaftsspiele",
    ),
    Formula(
        r"\alpha \ge \beta",
        "Alpha-beta leaves a position when what the maximiser has elsewhere, α, is no less than "
        "what the minimiser has, β.",
        "Knuth and Moore (1975), An Analysis of Alpha-Beta Pruning",
    ),
    Formula(
        r"b^{\lceil d/2 \rceil} + b^{\lfloor d/2 \rfloor} - 1",
        "The fewest leaves that prove the value of a tree with b moves at each of d levels, of "
        "b^d leaves. Alpha-beta reaches it if the best moves come first.",
        "Knuth and Moore (1975), An Analysis of Alpha-Beta Pruning",
    ),
    Formula(
        r"\min_G \max_D V(D, G) = \mathbb{E}_{x \sim p_{\text{data}}} \log D(x) +"
        r" \mathbb{E}_{x \sim p_g} \log (1 - D(x))",
        "The paper's game. Its value is −log 4, at p_g = p_data.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, eq. 1 and Theorem 1",
    ),
)
