"""Lesson: Algorithm 1 line by line, and what each line changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import Game, Gradient, Minibatch, Player, Prior, Round, Turn, alternating, mix
from frenemy.lab.densities import minibatches, normal
from frenemy.lab.discriminators import smooth_critic
from frenemy.lab.lesson import Check, Formula, Result
from frenemy.lab.line_games import EDGE, LineGenerator
from frenemy.objectives import minimax_d, minimax_g

P_DATA = normal(0.0, 1.0)
SHARES = (torch.arange(1000) + 0.5)[:, None] / 1000
X, Z = torch.special.ndtri(SHARES), EDGE * (2 * SHARES - 1)  # of p_data and of p_z, evenly
RATE = 0.01  # of both players' gradient steps
SHOWN = 6  # rounds whose every move is drawn
ROUNDED = 1e-2  # of a step's length: float32 knows weights of 1 to 6e-8, of steps of 1e-4 or more
ROUNDED_V = 1e-6  # float32 knows a mean of logarithms of about 1 to 1e-7
PAPER = "Goodfellow et al. (2014), Generative Adversarial Nets, Algorithm 1"
FORMULAS = (
    Formula(
        r"\theta_d \leftarrow \theta_d + \eta \, \nabla_{\theta_d} \frac{1}{m} \sum_{i=1}^m \left["
        r" \log D(x^{(i)}) + \log(1 - D(G(z^{(i)}))) \right]",
        "The inner loop, k times: D ascends on a fresh minibatch of m examples and m noises.",
        PAPER,
    ),
    Formula(
        r"\theta_g \leftarrow \theta_g - \eta \, \nabla_{\theta_g} \frac{1}{m} \sum_{i=1}^m"
        r" \log(1 - D(G(z^{(i)})))",
        "The end of a round: G descends, once, on fresh noise. It sees no data.",
        PAPER,
    ),
    Formula(
        r"V(\theta + \eta \nabla V) - V(\theta) = \eta \lVert \nabla V \rVert^2 + O(\eta^2)",
        "Why V rises in every small step of D, on the minibatch that it was taken on.",
        "Taylor's theorem",
    ),
)

Weights = Mapping[str, Mapping[str, Tensor]]
"""Of every player, by its name: its network's parameters by theirs."""


@dataclass(frozen=True)
class Move:
    """One step of one player: what was drawn for it, and what it changed.

    Attributes:
        round: its number, from 0.
        player: "D" or "G".
        x: the minibatch (m, 1) of a step of D; of G none, which asks for no data.
        z: the noise (m, 1).
        gradient: of what the player minimises in its weights, in order, as the game took it.
        before, after: all weights.
    """

    round: int
    player: str
    x: Tensor | None
    z: Tensor
    gradient: Tensor
    before: Weights
    after: Weights

    def changed(self, player: str) -> Tensor:
        """By how much each of that player's weights did, (n,)."""
        return _flat(self.after[player]) - _flat(self.before[player])


def algorithm1(
    *,
    seed: Annotated[int, Doc("of the networks, the data and the noise")] = 0,
    rounds: Annotated[int, Doc("of the outer loop")] = 200,
    k: Annotated[int, Doc("steps of D in a round")] = 2,
    minibatch: Annotated[int, Doc("m: examples, and noises, in a minibatch")] = 64,
) -> Result:
    """Algorithm 1, line by line: what each line draws, moves and leaves alone."""
    at_least(0, seed=seed)
    at_least(1, rounds=rounds, k=k)
    at_least(2, minibatch=minibatch)
    game = line_by_line(seed, k=k, minibatch=minibatch)
    data = minibatches(P_DATA.sample, minibatch, mix(seed, 1))
    start = weights(game)
    moves = [move for step in range(rounds) for move in play(game, data, seed, step)]
    again = line_by_line(seed, k=k, minibatch=minibatch)
    repeated = play(again, data, seed, 0)
    checks = [
        *_untouched(moves, rounds, k, start, repeated),
        *_climbed(game, moves),
    ]
    v = [worth(game, moves[0].before, X, Z), *(worth(game, m.after, X, Z) for m in moves)]
    first = moves[: k + 1]
    lowered = sum(v[i + 1] < v[i] for i, move in enumerate(moves) if move.player == "D")
    told = f"""\
The loop of Algorithm 1 on a toy: p_data is N(0, 1), G is a small network that starts at\
 N(2.2, 0.6²), D another; k = {k}, m = {minibatch}, and both step by plain gradients at a rate of\
 {RATE:g}. It is the loop that every model here is trained by, with a look at all weights before\
 and after each step.

{_in_words(game, first)}

So in {rounds} rounds D took {k * rounds} steps and G {rounds}. In a step of D no weight of G\
 moves, and the other way round; D saw {k * rounds} minibatches of x and of z, each but once, and G\
 {rounds} more of z alone. On its own minibatch V rises in every step of D, and falls in every step\
 of G, by about the rate times the squared gradient. Over all of p_data and p_z, V went from\
 {_signed(v[0])} to {_signed(v[-1])}; at the optimum it is −log 4 = −1.3863.

A minibatch is a sample, and its gradient that of all data only on average: {lowered} of D's\
 {k * rounds} steps lowered V over all of p_data and p_z. Round t draws what\
 (seed, t) says and nothing else, so that the first round, played again, gives the same weights to\
 the last bit."""
    return Result(told, FORMULAS, checks, (_page(game, first), _stairs(v, k, rounds)))


def line_by_line(seed: int, *, k: int, minibatch: int) -> Game:
    """Algorithm 1 as it is printed: both players take plain gradient steps in V itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed))
        nets = {"D": smooth_critic(1, 16), "G": LineGenerator(2.2, 0.6)}
    players = {n: Player(net, torch.optim.SGD(net.parameters(), RATE)) for n, net in nets.items()}
    return Game(
        players, alternating({minimax_d: 1.0}, {minimax_g: 1.0}, k), Prior("uniform", 1), minibatch
    )


def play(game: Game, data: Minibatch, seed: int, step: int) -> list[Move]:
    """A round of the game, whose every step is looked at."""
    looks = list[tuple[str, Tensor | None, Tensor, Tensor, Weights]]()

    def look(r: Round, turn: Turn, gradients: Mapping[str, Gradient]) -> Mapping[str, Tensor]:
        ((player, gradient),) = gradients.items()
        x = r.x.detach().clone() if player == "D" else None
        parts = zip(gradient, game.players[player].theta, strict=True)
        flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in parts])
        looks.append((player, x, r.z.clone(), flat, weights(game)))
        return {}

    with torch.random.fork_rng(devices=[]):
        game.play(data, seed=seed, step=step, observe=look)
    afters = [look[-1] for look in looks[1:]] + [weights(game)]
    return [Move(step, *look, after) for look, after in zip(looks, afters, strict=True)]


def weights(game: Game) -> Weights:
    """A copy of all of them."""
    return {
        name: {key: p.detach().clone() for key, p in net.named_parameters()}
        for name, net in game.nets.items()
    }


def value(game: Game, theta: Weights, x: Tensor | None, z: Tensor) -> Tensor:
    """Mean log D(x) + mean log(1 - D(G(z))), as the paper writes it; without x the latter alone."""
    DGz = _at(game.nets["D"], theta["D"], _at(game.nets["G"], theta["G"], z))
    V = torch.log(1 - torch.sigmoid(DGz)).mean()
    return (
        V if x is None else V + torch.log(torch.sigmoid(_at(game.nets["D"], theta["D"], x))).mean()
    )


def worth(game: Game, theta: Weights, x: Tensor | None, z: Tensor) -> float:
    """`value` as a number."""
    with torch.no_grad():
        return value(game, theta, x, z).item()


def _at(net: nn.Module, theta: Mapping[str, Tensor], x: Tensor) -> Tensor:
    return functional_call(net, dict(theta), (x,))


def _flat(theta: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([p.flatten() for p in theta.values()])


def _own(moves: Sequence[Move], player: str) -> list[Move]:
    return [move for move in moves if move.player == player]


def _untouched(
    moves: Sequence[Move], rounds: int, k: int, start: Weights, repeated: Sequence[Move]
) -> list[Check]:
    """What a line leaves alone: counts of weights and of minibatches."""

    def moved(mover: str, other: str) -> int:
        return sum(int((move.changed(other) != 0).sum()) for move in _own(moves, mover))

    xs = {tuple(move.x.flatten().tolist()) for move in moves if move.x is not None}
    zs = {tuple(move.z.flatten().tolist()) for move in moves}
    differ = sum(
        int((_flat(a.after[n]) != _flat(b.after[n])).sum())
        for a, b in zip(moves, repeated, strict=False)
        for n in start
    )
    return [
        Check("D's steps: weights of G that moved", moved("D", "G"), 0.0, 0.0),
        Check("G's steps: weights of D that moved", moved("G", "D"), 0.0, 0.0),
        Check("different minibatches of x (k in each round)", len(xs), k * rounds, 0.0),
        Check("different minibatches of z (k + 1)", len(zs), (k + 1) * rounds, 0.0),
        Check("first round again: weights that differ", differ, 0.0, 0.0),
    ]


def _climbed(game: Game, moves: Sequence[Move]) -> list[Check]:
    """That steps go along the formula's gradient, and that V follows."""
    checks = []
    for player, sign in (("D", 1.0), ("G", -1.0)):
        formula, step, gains, ratios = 0.0, 0.0, list[float](), list[float]()
        for move in _own(moves, player):
            theta = {n: {key: p.clone() for key, p in w.items()} for n, w in move.before.items()}
            own = [p.requires_grad_() for p in theta[player].values()]
            V = value(game, theta, move.x, move.z)
            found = torch.autograd.grad(V, own, allow_unused=True)
            pairs = zip(found, own, strict=True)
            g = torch.cat([(torch.zeros_like(p) if d is None else d).flatten() for d, p in pairs])
            size = g.norm().item()
            formula = max(formula, (sign * g + move.gradient).norm().item() / size)
            off = move.changed(player) - sign * RATE * g
            step = max(step, off.norm().item() / (RATE * size))
            gain = worth(game, move.after, move.x, move.z) - V.item()
            gains.append(gain)
            ratios.append(sign * gain / (RATE * size**2))
        worst = max(ratios, key=lambda ratio: abs(ratio - 1))
        least = min(sign * gain for gain in gains)
        rises = "V's rise" if player == "D" else "V's fall"
        checks += [
            Check(f"{player}: gradient − the formula's, largest share", formula, 0.0, ROUNDED),
            Check(f"{player}: step − rate × gradient, largest share", step, 0.0, ROUNDED),
            Check(f"{player}: {rises} on its minibatch, least", least, 0.0, ROUNDED_V,
                  relation="at least"),
            # the second-order term: less than half of the first
            Check(f"{player}: {rises} / (rate × |gradient|²), farthest off", worst, 1.0, 0.5),
        ]  # fmt: skip
    return checks


def _in_words(game: Game, moves: Sequence[Move]) -> str:
    """The first round as a paragraph."""
    said = []
    for move in moves:
        before, after = (worth(game, w, move.x, move.z) for w in (move.before, move.after))
        way = "up" if move.player == "D" else "down"
        what = "V" if move.x is not None else "its part of V"
        drawn = "z and x are drawn" if move.x is not None else "z is drawn, and no x"
        far = move.changed(move.player).norm()
        said.append(
            f"{drawn}; {move.player} goes {way} the gradient by {far:.4f}, and {what} on this"
            f" minibatch goes from {_signed(before)} to {_signed(after)}."
        )
    return "The first round: " + " Then ".join(said)


def _signed(number: float) -> str:
    return f"{number:.4f}".replace("-", "−")


def _page(game: Game, moves: Sequence[Move]) -> Figure:
    """The algorithm as it is printed, with what its lines did in the first round."""
    k, m = len(moves) - 1, len(moves[0].z)

    def what(move: Move) -> str:
        before, after = (worth(game, w, move.x, move.z) for w in (move.before, move.after))
        name = "V" if move.x is not None else "its part"
        return f"{name}: {_signed(before)} → {_signed(after)}"

    rows = [("for number of training iterations do", "round 1", INK)]
    for j, move in enumerate(moves[:-1]):
        x = move.x[0].item() if move.x is not None else math.nan
        rows += [
            (f"  for k steps do: {j + 1} of {k}", "", INK),
            (f"    sample m = {m} noise samples z", f"z⁽¹⁾ = {_signed(move.z[0].item())}", GREY),
            (f"    sample m = {m} examples x", f"x⁽¹⁾ = {_signed(x)}", GREY),
            ("    update D by ascending its gradient", what(move), BLUE),
        ]
    rows += [
        ("  end for", "", INK),
        (f"  sample m = {m} noise samples z", f"z⁽¹⁾ = {_signed(moves[-1].z[0].item())}", GREY),
        ("  update G by descending its gradient", what(moves[-1]), VERMILION),
        ("end for", "", INK),
    ]

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        ax.set(xlim=(0, 1), ylim=(len(rows), -1))
        ax.axis("off")
        for i, (line, did, colour) in enumerate(rows):
            ax.text(0, i, line, color=colour, family="monospace", va="center")
            ax.text(0.66, i, did, color=colour, va="center")

    done = "; ".join(f"{move.player} {what(move)}" for move in moves)
    return Figure(
        draw,
        f"The lines of Algorithm 1, and what they did in the first round: {done}.",
        "Algorithm 1 as it is printed, and what each of its lines did in the first round.",
        (8, 0.6 + 0.27 * len(rows)),
    )


def _stairs(v: Sequence[float], k: int, rounds: int) -> Figure:
    """V over all of p_data and p_z after every move."""
    shown = min(SHOWN, rounds) * (k + 1)

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.plot(range(shown + 1), v[: shown + 1], color=GREY, lw=1)
        for i in range(1, shown + 1):
            of_G = i % (k + 1) == 0
            look = {"color": VERMILION, "marker": "v"} if of_G else {"color": BLUE, "marker": "^"}
            left.plot([i - 1, i], v[i - 1 : i + 1], lw=2, ms=6, markevery=[1], **look)
        left.set(xlabel="moves", ylabel="V(D, G)")
        right.plot([i / (k + 1) for i in range(len(v))], v, color=INK, lw=1)
        right.axhline(-math.log(4), color=GREY, ls=":")
        right.set(xlabel="rounds")

    return Figure(
        draw,
        f"V rises in D's steps and falls in G's; it goes from {_signed(v[0])} to {_signed(v[-1])}"
        f" in {rounds} rounds.",
        f"V over all of p_data and p_z. Left: the first rounds, {k} steps of D (blue, up) to one of"
        " G (red, down). Right: all rounds; dotted: −log 4.",
        (8, 3.5),
    )
