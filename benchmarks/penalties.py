"""Which penalty of D pays, at equal time: exact or by differences, lazy or on a share?

    python benchmarks/penalties.py --out docs/results/penalties.jsonl --tasks ring grid
    python benchmarks/penalties.py --out ... --tasks stacked --data MNIST --seconds 1200
    python benchmarks/penalties.py --out ... --tasks faces --data FACES --seconds 1200
    python benchmarks/penalties.py --out rows.jsonl --tasks faces --data FACES --miniature

Every game is of so many seconds of one thread's processor time. What a round of each kind costs is
measured first, a few rounds of each in turn, by the median of its ratio to that of exact penalties;
then a game plays as many rounds as its seconds allow, in which its schedules come to their end. So
what else the machine does changes little. A line is added to the file as soon as a game is judged,
and what is there is not played again; prints a Markdown table of all that is there, means over
seeds with their standard errors.

Ring and grid are the lab's, with its networks and its weight that falls (`frenemy.lab.cures`,
"ours"); stacks of three digits and faces at 32 pixels are played by the networks of `pictures`, D
without normalisation, as pairing. The stacks' modes are told by a classifier: `frenemy judge
--train-features MNIST --name mnist`.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import tyro
from torch import Tensor, nn

from frenemy.data import Dataset, open_dataset
from frenemy.engine import PLAIN, Engine, prepare_processor
from frenemy.experiment import Experiment
from frenemy.game import Game, Minibatch, Player, Scheduled, Term, Turn, alternating, mix
from frenemy.judge.features import extract, in_batches
from frenemy.judge.kernel import kid
from frenemy.judge.modes import Modes, class_modes
from frenemy.judge.named_features import features_named
from frenemy.lab import cures
from frenemy.lab.mixtures import SAMPLES, TARGETS
from frenemy.nets.augmented import Augmented
from frenemy.objectives import level, pairing_d, pairing_g
from frenemy.penalties import differences, lazily, on_share, r1, r2
from frenemy.recipes.pictures import LEVEL, Pictures, pictures
from frenemy.sampling import generate, noise

Row = dict[str, Any]
Task = Literal["ring", "grid", "stacked", "faces"]
TASKS: tuple[Task, ...] = get_args(Task)
TIMED = 16  # rounds of a kind in a row, when their cost is measured: a multiple of every `every`
P = 0.3  # of each augmentation
JUDGED = {"stacked": 26_000, "faces": 2000}  # samples
LOOKS = 16  # minibatches on which the penalties are compared at the end


@dataclass(frozen=True)
class Kind:
    """How D is held flat.

    Attributes:
        penalties: at real images and at samples; none, too.
        every: in which rounds.
        centred: whether the logits are held about 0.
        augmented: what D sees: each image by a draw of its own, or x_i and G(z_i) by one for both.
    """

    penalties: tuple[Term, Term] | None = (r1, r2)
    every: int = 1
    centred: bool = False
    augmented: Literal["no", "images", "pairs"] = "no"

    def turns(self, gamma: Scheduled) -> Sequence[Turn]:
        """Who moves on what, when."""
        d = {pairing_d: 1.0, level: LEVEL} if self.centred else {pairing_d: 1.0}
        if self.penalties is None:
            return alternating(d, {pairing_g: 1.0})
        turns = lazily(d, {pairing_g: 1.0}, gamma, self.every, self.penalties)
        return [replace(turn, joint=True) for turn in turns] if self.augmented == "pairs" else turns


def quarter(penalties: tuple[Term, Term]) -> tuple[Term, Term]:
    at_x, at_Gz = penalties
    return on_share(at_x, 0.25), on_share(at_Gz, 0.25)


KINDS = {
    "none": Kind(None),
    "exact": Kind(),
    "exact, every 4": Kind(every=4),
    "exact, every 16": Kind(every=16),
    "exact, on a quarter": Kind(quarter((r1, r2))),
    "differences of .01": Kind(differences(0.01)),
    "differences of .1": Kind(differences(0.1)),
    "differences of .01, on a quarter": Kind(quarter(differences(0.01))),
    "exact, logits centred": Kind(centred=True),
}
AUGMENTED = {
    "exact, augmented": Kind(augmented="images"),
    "exact, augmented, a draw for each pair": Kind(augmented="pairs"),
}


class Pairs(nn.Module):
    """D of x and G(z) in one minibatch, both augmented by the same draw."""

    def __init__(self, D: Augmented) -> None:
        super().__init__()
        self.D = D

    def forward(self, x: Tensor) -> Tensor:
        seen, state = [], torch.get_rng_state()
        for half in x.chunk(2):
            torch.set_rng_state(state)
            seen.append(self.D.T(half))
        return self.D.net(torch.cat(seen))


@dataclass(frozen=True)
class Played:
    """What a task is played on.

    Attributes:
        task: which it is.
        place: of its data, if these are images.
        gamma: weight of the penalties on images.
        width: of the networks for images.
        samples: that are judged; of pictures.
    """

    task: Task
    place: Path | None
    gamma: float
    width: int
    samples: int

    @property
    def data(self) -> Dataset | None:
        """The images, if it has some."""
        return None if self.place is None else _opened(self.task, self.place)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return KINDS if self.place is None else {**KINDS, **AUGMENTED}

    def game(self, kind: Kind, seed: int, rounds: int) -> Game:
        """The game of that kind, whose schedules end after so many rounds."""
        if self.data is None:
            game = cures.game("ours", seed=seed, rounds=rounds)
            return _with(game, kind, game.turns[0].moves["D"][r1])
        torch.manual_seed(mix(seed, 4))
        arguments = Pictures(
            images=rounds * Pictures.minibatch, width=self.width, normalised=False,
            augmenting=kind.augmented != "no", classes=False,
        )  # fmt: skip
        (stage,) = pictures(self.data.train.facts, arguments)
        D = stage.game.players["D"].net
        if isinstance(D, Augmented):
            D.T.set(P)
        return _with(stage.game, kind, self.gamma)

    def minibatch(self, game: Game, seed: int) -> Minibatch:
        if self.data is None:
            return TARGETS[self.task].minibatches(seed, game.minibatch)
        return Experiment([], self.data.train).minibatch(game, seed, game.device)

    def judged(self, game: Game, seed: int) -> dict[str, float]:
        """What the samples are: modes, share near one and divergence, or the kernel distance."""
        if self.data is None:
            target = TARGETS[self.task]
            return _modes(target.judge(target.generated(game, SAMPLES, mix(seed, 5))))
        facts, z = self.data.train.facts, noise(game, self.samples, mix(seed, 5))
        images = generate(game, facts, z, self.samples)
        features = features_named("stacked-mnist" if self.task == "stacked" else "lite0")
        seen = in_batches(features.network, images, batch=features.batch)
        if seen.logits is not None:
            return _modes(class_modes(fake_classes=seen.logits.argmax(1), count=1000))
        real = extract(features, self.data.test.random(self.samples, seed=0)).features
        return {"kernel distance": kid(real=real, fake=seen.features).value}

    def costs(self, repeats: int) -> dict[str, float]:
        """Seconds of processor time of a round of each kind."""
        games = {name: self.game(kind, 0, 1000) for name, kind in self.kinds.items()}
        seconds: dict[str, list[float]] = {name: [] for name in games}
        for i in range(repeats):
            for name, game in games.items():
                steps = range(i * TIMED, (i + 1) * TIMED)
                seconds[name].append(_play(game, self.minibatch(game, 0), 0, steps) / TIMED)
        exact = seconds["exact"]
        return {
            name: statistics.median(exact)
            * statistics.median(a / b for a, b in zip(mine, exact, strict=True))
            for name, mine in seconds.items()
        }


def _with(game: Game, kind: Kind, gamma: Scheduled) -> Game:
    """The game with that kind's turns."""
    players, D = dict(game.players), game.players["D"]
    if kind.augmented == "pairs":
        assert isinstance(D.net, Augmented)
        players["D"] = Player(Pairs(D.net), D.optimiser, schedule=D.schedule)
    return Game(players, kind.turns(gamma), game.prior, game.minibatch)


def _modes(found: Modes) -> dict[str, float]:
    quality = {} if found.quality is None else {"HQ %": 100 * found.quality.value}
    return {"modes": found.caught.value, **quality, "reverse KL": found.reverse_kl.value}


def _play(game: Game, minibatch: Minibatch, seed: int, steps: range) -> float:
    """Plays these rounds; seconds of processor time."""
    begun = time.process_time()
    for step in steps:
        game.play(minibatch, seed=seed, step=step)
    return time.process_time() - begun


def compared(game: Game, minibatch: Minibatch, seed: int) -> dict[str, float]:
    """R1 at the end, and what differences make of it, in bfloat16 too."""
    ways = {
        "R1": (r1, PLAIN),
        ".01 / R1": (differences(0.01)[0], PLAIN),
        ".1 / R1": (differences(0.1)[0], PLAIN),
        "bfloat16: .01 / R1": (differences(0.01)[0], Engine("bfloat16")),
    }
    found, turn = dict.fromkeys(ways, 0.0), Turn({"D": {}})
    z = torch.zeros(game.minibatch, game.prior.size)  # of which nothing is asked
    for (name, (term, engine)), i in itertools.product(ways.items(), range(LOOKS)):
        drawn = minibatch(9, i)
        torch.manual_seed(mix(seed, 6, i))
        r = game.round(turn, z, lambda drawn=drawn: drawn, engine=engine)
        found[name] += term(r).mean().item() / LOOKS
    exact = found.pop("R1")
    return {"R1": exact, **{name: value / exact for name, value in found.items()}}


def play(played: Played, name: str, seed: int, rounds: int) -> Row:
    """One game, and what its samples are."""
    kind = played.kinds[name]
    game = played.game(kind, seed, rounds)
    minibatch = played.minibatch(game, seed)
    cpu = _play(game, minibatch, seed, range(rounds))
    # pairs are made of both kinds of images: there is no pass of real ones alone
    about = {} if kind.augmented == "pairs" else compared(game, minibatch, seed)
    found = {**played.judged(game, seed), **about}
    row = {"task": played.task, "kind": name, "seed": seed, "rounds": rounds, "cpu": round(cpu, 1)}
    return {**row, "found": {key: float(f"{value:.5g}") for key, value in found.items()}}


def table(rows: list[Row]) -> str:
    """Markdown: means ± standard errors over seeds, in the order of `KINDS`."""
    lines = []
    for task, seconds in dict.fromkeys((row["task"], row["seconds"]) for row in rows):
        mine = [row for row in rows if (row["task"], row["seconds"]) == (task, seconds)]
        heads = list(dict.fromkeys(key for row in mine for key in row["found"]))
        lines += [f"{task}, {seconds:g} s", ""]
        lines += [f"| penalties | seeds | rounds | CPU s | {' | '.join(heads)} |"]
        lines += ["| --- " * (4 + len(heads)) + "|"]
        for kind in [*KINDS, *AUGMENTED]:
            if not (runs := [row for row in mine if row["kind"] == kind]):
                continue
            cells = [f"{statistics.mean(row['rounds'] for row in runs):,.0f}"]
            cells += [f"{statistics.mean(row['cpu'] for row in runs):,.0f}"]
            cells += [_mean([r["found"][k] for r in runs if k in r["found"]]) for k in heads]
            lines.append(f"| {kind} | {len(runs)} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{statistics.mean(values):.3g}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.1g}"


def main(
    out: Path,
    tasks: tuple[Task, ...] = ("ring", "grid"),
    data: Path | None = None,
    seconds: float = 12.0,
    seeds: int = 3,
    kinds: tuple[str, ...] = (),
    gamma: float = 0.05,
    width: int = 16,
    workers: int = 1,
    miniature: bool = False,
) -> None:
    """Plays what is not in the file yet, and prints the table of all that is.

    Args:
        out: JSON lines, one a game, and one of a task's costs.
        tasks: what is played.
        data: MNIST's folder for "stacked", a source of faces for "faces".
        seconds: of processor time, of each game.
        seeds: 0, 1, ...
        kinds: of penalties; all.
        gamma, width: of the games on images.
        workers: games that are played at a time, each by one thread.
        miniature: narrow networks, one second and one seed.
    """
    _one_thread()
    if miniature:
        seconds, seeds, width = 1.0, 1, 2
    rows = [*map(json.loads, out.read_text("utf-8").splitlines())] if out.exists() else []

    def keep(row: Row) -> None:
        rows.append(row)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        for task in tasks:
            images = task in JUDGED
            if images and data is None:
                raise SystemExit(f"{task}: give --data")
            samples = 500 if miniature else JUDGED.get(task, 0)
            played = Played(task, data if images else None, gamma, width, samples)
            # ring and grid have the same networks
            place = {"task": task, "gamma": gamma, "width": width} if images else {"task": "plane"}
            found = [
                row["costs"] for row in rows if "costs" in row and place.items() <= row.items()
            ]
            if not found:
                found = [played.costs(2 if miniature else 8 if images else 32)]
                keep({**place, "costs": found[0]})
            key = {**place, "task": task, "seconds": seconds}
            done = {(row["kind"], row["seed"]) for row in rows if key.items() <= row.items()}
            playing = [
                pool.submit(play, played, name, seed, max(1, round(seconds / found[0][name])))
                for seed, name in itertools.product(range(seeds), kinds or played.kinds)
                if (name, seed) not in done
            ]
            for game in as_completed(playing):
                keep({**key, **game.result()})
    print(table([row for row in rows if "found" in row]))


@functools.cache
def _opened(task: Task, place: Path) -> Dataset:
    """The images of a task."""
    return open_dataset(f"stacked:{place}") if task == "stacked" else open_dataset(place, size=32)


def _one_thread() -> None:
    torch.set_num_threads(1)
    prepare_processor()


if __name__ == "__main__":
    tyro.cli(main)
