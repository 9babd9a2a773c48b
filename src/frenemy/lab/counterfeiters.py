"""The lesson that opens the lab: the paper's picture of police and counterfeiters, played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import Game, Player, Prior, alternating, mix
from frenemy.judge.estimate import Estimate
from frenemy.lab.densities import minibatches
from frenemy.lab.discriminators import adam, cube, draw_map, smooth_critic
from frenemy.lab.lesson import Check, Formula, Result, no_more, sampled
from frenemy.objectives import minimax_d, nonsaturating_g

# width and shade of a note, in their own units about what a passer-by expects
GENUINE = MultivariateNormal(
    torch.tensor([0.8, 0.6]), covariance_matrix=torch.tensor([[0.5, 0.3], [0.3, 0.4]])
)
CRUDE = (-1.2, -0.9), 0.4  # where the counterfeiters begin, and how much their notes vary
REACH, COUNT = 5.0, 101  # of the square in which densities are compared
FRESH = 4000  # notes of either kind on which the police is tried
K = 5  # steps of the police to one of the counterfeiters
NOTES = 200  # of either kind that are looked at in a step
FORMULAS = (
    Formula(
        r"\min_G \max_D V(D, G) = \mathbb{E}_{x \sim p_{data}} \log D(x)"
        r" + \mathbb{E}_{z \sim p_z} \log(1 - D(G(z)))",
        "The police D wants to say 1 of genuine notes x and 0 of counterfeits G(z); the"
        " counterfeiters G want the opposite.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, equation 1, and the picture in its"
        " introduction",
    ),
    Formula(
        r"P(\text{right}) \leq \frac{1}{2} + \frac{1}{2} \, TV(p_{data}, p_g), \qquad"
        r" TV = \frac{1}{2} \int \lvert p_{data} - p_g \rvert \, dx",
        "How often the best police is right, of as many counterfeits as genuine notes: 1/2 when"
        " they cannot be told apart.",
        "Neyman and Pearson (1933), On the Problem of the Most Efficient Tests of Statistical"
        " Hypotheses",
    ),
)


@dataclass(frozen=True)
class Day:
    """How things stand after some rounds.

    Attributes:
        number: of rounds.
        D: the police's opinion at the points of a `cube`, 0 to 1, (COUNT^2,).
        fakes: counterfeits, (FRESH, 2).
        right: how often the police is, on fresh notes, half of them genuine.
        best: how often the best police would be, by quadrature.
        mean, covariance: of the counterfeits, exact.
    """

    number: int
    D: Tensor
    fakes: Tensor
    right: Estimate
    best: float
    mean: Tensor
    covariance: Tensor


def counterfeiters(
    *,
    seed: Annotated[int, Doc("of the players and of all notes")] = 0,
    rounds: Annotated[int, Doc("of the game; the counterfeiters wait in the first eighth")] = 160,
) -> Result:
    """Police and counterfeiters: in the end the notes are alike."""
    at_least(0, seed=seed)
    at_least(16, rounds=rounds)
    rest = rounds // 8
    days = play(rounds, rest, seed)
    caught, end = days[rest], days[-1]
    half = next((day for day in days if day.best < (caught.best + 0.5) / 2), end)
    ahead = max(days, key=lambda day: (day.right.value - day.best) / day.right.error)
    told = f"""\
Counterfeiters (G) print money and want to spend it without being caught; the police (D) look at\
 notes, genuine and false, and want to tell which is which. A note here has two features, its\
 width and its shade. The counterfeiters have never seen a genuine note: they learn only how\
 suspicious the police are of their own.

The counterfeiters first wait for {rest} rounds, and the police learn to know their crude notes:\
 {caught.right.value:.0%} of their verdicts are right, and no police could do better than\
 {caught.best:.0%}. Then both move, the police {K} steps to one: the counterfeiters change their\
 notes to what looks more genuine to the police, the police learn to tell these, and so on.

Competition drives both to improve. After {rounds} rounds counterfeits have mean\
 ({end.mean[0]:.2f}, {end.mean[1]:.2f}), genuine notes\
 ({GENUINE.mean[0]:.2f}, {GENUINE.mean[1]:.2f}), and the police are right\
 {end.right.value:.0%} of the time: they toss a coin, as the best police would (at most\
 {end.best:.1%}). This is the game of all that follows."""
    worst = (end.covariance - GENUINE.covariance_matrix).abs().max().item()
    off = (end.mean - GENUINE.mean).norm().item()
    checks = [
        # the police are to be within .02 of the best ones, as every trained D here
        Check("police that have learned: right, and the best", caught.right.value, caught.best,
              0.02, caught.right.error),
        sampled("all days: right − the best, most", ahead.right.value - ahead.best, 0.0,
                ahead.right.error, "at most"),
        # 1/2, and half of a total variation of .1, which takes 100 notes to tell
        no_more("end: the best police are right", end.best, 0.55),
        sampled("end: the police are right", end.right.value, end.best, end.right.error, "at most"),
        # of deviations of .7: a fifth
        Check("end: means of the notes differ by", off, 0.0, 0.15),
        Check("end: their covariances, by", worst, 0.0, 0.15),
    ]  # fmt: skip
    figures = _four([days[0], caught, half, end]), _course(days, rest)
    return Result(told, FORMULAS, checks, figures)


def play(rounds: int, rest: int, seed: int) -> list[Day]:
    """The game: days[t] is how things stand after t rounds. For `rest` rounds G does not move."""

    def police(t: int) -> float:
        return 5e-3 * min(1.0, 2 * (1 - t / rounds))

    def press(t: int) -> dict[str, float]:
        return {"lr": 0.0 if t < rest else 0.15 * min(1.0, 2 * (1 - t / rounds))}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0))
        D, G = smooth_critic(2), nn.Linear(2, 2)
        with torch.no_grad():
            G.bias.copy_(torch.tensor(CRUDE[0]))
            G.weight.copy_(CRUDE[1] * torch.eye(2))
        printing = Player(G, torch.optim.SGD(G.parameters()), schedule=press)
        turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0}, K)
        game = Game({"D": adam(D, police), "G": printing}, turns, Prior("gaussian", 2), NOTES)
        data = minibatches(_genuine, NOTES, mix(seed, 1))
        days = [_day(0, D, G, seed)]
        for step in range(rounds):
            game.play(data, seed=mix(seed, 2), step=step)
            days.append(_day(step + 1, D, G, seed))
    return days


def _genuine(count: int, generator: torch.Generator) -> Tensor:
    return GENUINE.mean + torch.randn(count, 2, generator=generator) @ GENUINE.scale_tril.T


@torch.no_grad()
def _day(number: int, D: nn.Module, G: nn.Linear, seed: int) -> Day:
    generator = torch.Generator().manual_seed(mix(seed, 3, number))
    real, z = _genuine(FRESH, generator), torch.randn(FRESH, 2, generator=generator)
    fakes, x = G(z), cube(2, REACH, COUNT)
    verdicts = torch.cat([D(real) > 0, D(fakes) <= 0]).double()
    covariance = G.weight @ G.weight.T
    p_g = MultivariateNormal(G.bias, covariance_matrix=covariance)
    cell = (2 * REACH / (COUNT - 1)) ** 2
    apart = (GENUINE.log_prob(x.float()).exp() - p_g.log_prob(x.float()).exp()).abs().double()
    return Day(
        number,
        D(x.float()).sigmoid(),
        fakes,
        Estimate.of(verdicts),
        0.5 + apart.sum().item() * cell / 4,
        G.bias.clone(),
        covariance,
    )


def _four(days: list[Day]) -> Figure:
    names = ("both begin", "the police have learned", "the counterfeiters catch up", "alike")
    real = _genuine(150, torch.Generator().manual_seed(0))

    def draw(canvas: Canvas) -> None:
        axes: list[Axes] = [*canvas.subplots(1, 4, sharey=True)]
        for ax, day, name in zip(axes, days, names, strict=True):
            draw_map(ax, day.D, reach=REACH, alpha=torch.full_like(day.D, 0.35))
            ax.plot(*real.T, "o", color=BLUE, ms=3, mfc="none", mew=0.7)
            ax.plot(*day.fakes[:150].T, "x", color=VERMILION, ms=3, mew=0.8)
            ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xlabel="width of a note")
            ax.set_title(f"{name}\nround {day.number}: {day.right.value:.0%} right", fontsize=10)
        axes[0].set_ylabel("shade")

    shares = ", ".join(f"{day.right.value:.0%} in round {day.number}" for day in days)
    return Figure(
        draw,
        "Genuine notes and counterfeits in four moments of the game: apart at first, alike in the"
        f" end. The police are right of {shares}.",
        "Genuine notes (blue rings), counterfeits (red crosses), and what the police think of a"
        " note that lies there: blue is genuine, red is false, pale is undecided.",
        (10, 3.3),
    )


def _course(days: list[Day], rest: int) -> Figure:
    def draw(canvas: Canvas) -> None:
        ax, t = canvas.subplots(), [day.number for day in days]
        ax.plot(t, [day.best for day in days], "--", color=INK, label="the best police")
        ax.plot(t, [day.right.value for day in days], color=BLUE, lw=1, label="the police")
        ax.axhline(0.5, color=GREY, ls=":")
        ax.axvline(rest, color=GREY, ls=":")
        ax.set(xlabel="round", ylabel="share of right verdicts", ylim=(0.4, 1.02))
        ax.legend()

    return Figure(
        draw,
        "The share of right verdicts rises while the counterfeiters wait, and falls to 1/2 when"
        f" they move: {days[rest].right.value:.2f}, then {days[-1].right.value:.2f}.",
        "How often the police are right, beside the best that any police could be; from the dotted"
        " line on, the counterfeiters move.",
    )
