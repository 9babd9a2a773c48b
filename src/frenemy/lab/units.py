"""Lesson: the paper's units, and its dropout, taken out of one small game one by one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn
from typing_extensions import Doc

from frenemy.data import Dataset, Source, open_dataset
from frenemy.errors import at_least
from frenemy.experiment import from_pixels
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import Game, Gradient, Player, Prior, Round, Turn, alternating, mix
from frenemy.judge.estimate import Estimate
from frenemy.judge.parzen import parzen
from frenemy.lab import codes
from frenemy.lab.decoders import MINIBATCH, falling, minibatches_of
from frenemy.lab.discriminators import adam
from frenemy.lab.lesson import Check, Formula, Result, no_more
from frenemy.nets.layers import Dropout, FromUnit, ToUnit
from frenemy.nets.mlp import Logit, Maxout
from frenemy.objectives import minimax_d, nonsaturating_g

PRIOR = Prior("uniform", 10)
WIDTH = 128  # units in G's hidden layers; D's have half
PIECES = 3  # of a maxout unit
KEPT = 0.8, 0.5, 0.5  # by dropout, of D's input and of its hidden layers: as in 2014
ADAM_RATE = 2e-3
RATE, MOMENTUM = 0.3, 0.5  # of gradient descent
SAMPLES = 1000
EARLY = 50  # rounds in which G's gradient is looked at
FORMULAS = (
    Formula(
        r"\max(0, a), \quad \max_j a_j \qquad \text{and} \qquad \sigma(a) = \frac{1}{1 + e^{-a}},"
        r" \quad \sigma'(a) = \sigma(a) (1 - \sigma(a)) \leq \frac{1}{4}",
        "The rectifier and the maxout unit pass a gradient on as it is, where they are on; a"
        " sigmoid leaves a quarter of it at most, in every layer of D and of G.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, sections 1 and 5; Goodfellow et al."
        " (2013), Maxout Networks",
    ),
    Formula(
        r"h \to \frac{b}{q} \, h, \qquad b \sim \text{Bernoulli}(q)",
        "Dropout, in D alone: of the input .8 are kept, of hidden units .5.",
        "Srivastava et al. (2014), Dropout",
    ),
)


class Variant(NamedTuple):
    """A way to build and to play the game."""

    linear: bool
    dropout: bool
    adam: bool


PAPER = Variant(linear=True, dropout=True, adam=True)
VARIANTS = {
    "as in 2014": PAPER,
    "sigmoid units": PAPER._replace(linear=False),
    "no dropout": PAPER._replace(dropout=False),
    "gradient descent": PAPER._replace(adam=False),
    "descent, no dropout": PAPER._replace(adam=False, dropout=False),
}
SHOWN = ("as in 2014", "sigmoid units", "no dropout")
COLOURS = dict(zip(VARIANTS, (BLUE, VERMILION, GREEN, GREY, INK), strict=True))


@dataclass(frozen=True)
class Played:
    """One game to its end.

    Attributes:
        gradients: the length of G's gradient in every round.
        lead: of D, the mean of D(x) - D(G(z)) over the last half of the rounds.
        nats: Parzen log-likelihood of test digits under G's samples.
        samples: of G.
    """

    gradients: Sequence[float]
    lead: float
    nats: float
    samples: Tensor

    @property
    def early(self) -> float:
        """The mean length of G's gradient in the first rounds."""
        return statistics.fmean(self.gradients[:EARLY])


def units(
    *,
    seed: Annotated[int, Doc("of the first game; the others follow it")] = 0,
    seeds: Annotated[int, Doc("games of every kind")] = 3,
    rounds: Annotated[int, Doc("of each game")] = 600,
) -> Result:
    """Piecewise-linear units carry G's gradient; dropout holds D back."""
    at_least(0, seed=seed)
    at_least(2, seeds=seeds)
    at_least(1, rounds=rounds)
    data = open_dataset(None)
    games = {
        name: [play(v, data, rounds, mix(seed, i)) for i in range(seeds)]
        for name, v in VARIANTS.items()
    }
    nats = {name: torch.tensor([p.nats for p in of]) for name, of in games.items()}
    leads = {name: torch.tensor([p.lead for p in of]) for name, of in games.items()}
    gradient = {name: statistics.fmean(p.early for p in of) for name, of in games.items()}
    share = gradient["sigmoid units"] / gradient["as in 2014"]

    def ahead(of: Mapping[str, Tensor], one: str, other: str) -> Estimate:
        """By seeds that both have in common."""
        return Estimate.of(of[one] - of[other])

    of_units = ahead(nats, "as in 2014", "sigmoid units")
    of_dropout = ahead(nats, "as in 2014", "no dropout")
    of_descent = ahead(nats, "gradient descent", "descent, no dropout")
    held = ahead(leads, "no dropout", "as in 2014")
    held_too = ahead(leads, "descent, no dropout", "gradient descent")
    checks = [
        Check("largest slope of a sigmoid", _steepest(), 0.25, 1e-12),
        # two layers in D and two in G, of a quarter each at most; a tenth is far above that
        no_more("G's first gradients: sigmoid / piecewise linear", share, 0.1),
        Check("nats: piecewise linear − sigmoid units", of_units.value, 0.0, 0.0, of_units.error,
              "at least"),
        Check("D's lead: without dropout − with it", held.value, 0.0, 0.0, held.error, "at least"),
    ]  # fmt: skip
    means = {name: f"{values.mean().item():.1f}".replace("-", "−") for name, values in nats.items()}
    lead = {name: f"{values.mean().item():.2f}" for name, values in leads.items()}
    told = f"""\
The paper's game in small: on digits of 8x8 pixels, G has two layers of {WIDTH} rectifiers and D\
 two of {WIDTH // 2} maxout units, with dropout in D alone. Then the same game with sigmoid units\
 in both, and without dropout: {rounds} rounds by Adam, {seeds} seeds each.

Piecewise-linear units do not saturate. With sigmoids G's gradient in the first {EARLY} rounds is\
 {share:.3f} of its length: each of four layers leaves a quarter at most. Parzen log-likelihoods of\
 test digits are {means["as in 2014"]} nats as in 2014 and {means["sigmoid units"]} with sigmoids,\
 whose G makes one blurred digit of every z: the difference is {of_units}.

Dropout holds D back, so that G can follow. D's lead, the mean of D(x) − D(G(z)) over the last half\
 of the rounds, is {lead["as in 2014"]} with dropout and {lead["no dropout"]} without (the\
 difference is {held}), and dropout brings {of_dropout} nats. That is of this game, and no law: by\
 gradient descent in Adam's place (rate {RATE}, momentum {MOMENTUM}) the lead is\
 {lead["gradient descent"]} and {lead["descent, no dropout"]} (a difference of {held_too}), and\
 dropout brings {of_descent} nats. Errors are between {seeds} seeds: in games so few and so short,\
 they tell no more than a large effect."""
    return Result(told, FORMULAS, checks, (_gallery(games), _measured(games)))


def nets(linear: bool, dropout: bool, source: Source) -> tuple[nn.Module, nn.Module]:
    """D and G, whose weights are the global generator's."""

    def act() -> nn.Module:
        return nn.ReLU() if linear else nn.Sigmoid()

    pixels, half = math.prod(source.shape), WIDTH // 2
    G = nn.Sequential(
        nn.Linear(PRIOR.size, WIDTH),
        act(),
        nn.Linear(WIDTH, WIDTH),
        act(),
        nn.Linear(WIDTH, pixels),
        nn.Sigmoid(),
        FromUnit(source.shape),
    )

    def layer(n_in: int) -> nn.Module:
        if linear:
            return Maxout(n_in, half, PIECES, 1 / math.sqrt(n_in))
        return nn.Sequential(nn.Linear(n_in, half), nn.Sigmoid())

    layers = [layer(pixels), layer(half), Logit(half, 1 / math.sqrt(half))]
    dropped = [m for q, part in zip(KEPT, layers, strict=True) for m in (Dropout(q), part)]
    return nn.Sequential(ToUnit(), *(dropped if dropout else layers)), G


def play(variant: Variant, data: Dataset, rounds: int, seed: int) -> Played:
    """One game on the digits."""
    lengths = list[float]()

    def observe(r: Round, turn: Turn, gradients: Mapping[str, Gradient]) -> Mapping[str, Tensor]:
        if "G" in gradients:
            squares = sum(g.square().sum().item() for g in gradients["G"] if g is not None)
            lengths.append(math.sqrt(squares))
        return {}

    def player(net: nn.Module) -> Player:
        if variant.adam:
            return adam(net, falling(ADAM_RATE, rounds), (0.0, 0.99))
        return Player(net, torch.optim.SGD(net.parameters(), RATE, MOMENTUM))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0))
        D, G = nets(variant.linear, variant.dropout, data.train)
        turns = alternating({minimax_d: 0.5}, {nonsaturating_g: 1.0})
        game = Game({"D": player(D), "G": player(G)}, turns, PRIOR, MINIBATCH)
        minibatch = minibatches_of(data.train, seed)
        leads = list[float]()
        for step in range(rounds):
            record = game.play(minibatch, seed=seed, step=step, observe=observe)
            leads.append((record["D(x)"] - record["D(G(z))"]).item())
        torch.manual_seed(mix(seed, 1))
        with torch.no_grad():
            samples = G(PRIOR(SAMPLES))
    lead = statistics.fmean(leads[rounds // 2 :])
    return Played(lengths, lead, _nats(samples, data), samples)


def _nats(samples: Tensor, data: Dataset) -> float:
    """Parzen log-likelihood of the test digits, with the width that suits the validation digits."""
    valid, test = (
        ToUnit()(from_pixels(torch.tensor(part.images))) for part in (data.valid, data.test)
    )
    return parzen(real=test, valid=valid, fake=ToUnit()(samples))["default"].found.value


def _steepest() -> float:
    a = torch.linspace(-5, 5, 2001, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(a.sigmoid().sum(), a)[0].max().item()


def _gallery(games: Mapping[str, Sequence[Played]]) -> Figure:
    names = ("as in 2014", "sigmoid units", "no dropout", "descent, no dropout")
    return Figure(
        partial(codes.gallery, panels={name: games[name][0].samples[:49] for name in names}),
        "Squares of 49 digits: samples of G as in 2014, with sigmoid units, without dropout, and"
        " by gradient descent without dropout.",
        "Samples of the first seed's G, each of the same z.",
        (6, 6.6),
    )


def _measured(games: Mapping[str, Sequence[Played]]) -> Figure:
    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2, width_ratios=(1, 1.3))
        for name in SHOWN:
            left.semilogy(games[name][0].gradients, color=COLOURS[name], lw=0.8, label=name)
        left.set(xlabel="round", ylabel="length of G's gradient")
        left.xaxis.set_major_locator(MaxNLocator(4))
        for i, (name, of) in enumerate(games.items()):
            right.plot([p.nats for p in of], [-i] * len(of), "o", color=COLOURS[name], mfc="none")
        right.set_yticks([-i for i in range(len(games))], list(games))
        right.set(xlabel="nats", ylim=(0.5 - len(games), 0.5))

    low, high = (games[name][0].early for name in ("sigmoid units", "as in 2014"))
    return Figure(
        draw,
        f"G's gradient has a length of about {high:.2g} with piecewise-linear units and {low:.2g}"
        " with sigmoids; Parzen log-likelihoods of the five games, a ring a seed.",
        "Left: G's gradient in each round of the first seed's games (blue as in 2014, red sigmoid"
        " units, green without dropout). Right: Parzen log-likelihood of test digits.",
        (8, 3.5),
    )
