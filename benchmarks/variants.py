"""What was tried of the game of `pictures`, each beside it, by `race.py --recipe late_copying`.

Each is a recipe with the arguments of `pictures`, and plays its game with one thing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from frenemy.data import Facts
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Round, Turn
from frenemy.nets.augment import Augment
from frenemy.nets.augmented import Augmented
from frenemy.nets.warps import Map
from frenemy.objectives import level
from frenemy.recipes.pictures import Pictures, pictures

OPEN = Pictures()  # all is chosen
LATE, COPIES = 0.5, 16  # the average is copied from this share of the schedules on, so many times


def late_copying(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """In the second half of the schedules G is now and then given its average's weights."""

    def due(t: int) -> int:
        return int(COPIES * max(0.0, arguments.share_done(t) - LATE) / (1 - LATE))

    def of(players: Mapping[str, Player], turns: Sequence[Turn]) -> Sequence[Turn]:
        G, average = players["G"].net, players["G"].average
        assert average is not None

        def copy(r: Round) -> dict[str, Tensor]:
            if due(r.step + 1) > due(r.step):
                for theta, mean in zip(G.parameters(), average.parameters(), strict=True):
                    theta.copy_(mean)
            return {}

        of_D, of_G = turns
        return of_D, replace(of_G, after=copy)

    return _changed(pictures(facts, arguments), of)


def uncentred(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """The logits' common level, which pairing leaves free, is not held at 0."""

    def of(players: Mapping[str, Player], turns: Sequence[Turn]) -> Sequence[Turn]:
        of_D, of_G = turns
        moves = {term: weight for term, weight in of_D.moves["D"].items() if term is not level}
        return replace(of_D, moves={"D": moves}), of_G

    return _changed(pictures(facts, arguments), of)


def same_draw(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """A pair, x and G(z), is augmented by one draw."""

    def of(players: Mapping[str, Player], turns: Sequence[Turn]) -> Sequence[Turn]:
        D = players["D"].net
        assert isinstance(D, Augmented) and isinstance(D.T, Augment)
        draw, kept = D.T.maps, list[Map]()

        def maps(x: Tensor) -> list[Map]:  # in every turn D sees x once, and G(z) once
            if kept:
                drawn = kept.copy()
                kept.clear()
                return drawn
            kept.extend(draw(x))
            return kept.copy()

        D.T.maps = maps
        return turns

    return _changed(pictures(facts, arguments), of)


VARIANTS = {recipe.__name__: recipe for recipe in (late_copying, uncentred, same_draw)}


def _changed(
    stages: Sequence[Stage], of: Callable[[Mapping[str, Player], Sequence[Turn]], Sequence[Turn]]
) -> list[Stage]:
    """The stage with other turns."""
    (stage,) = stages
    game = stage.game
    turns = of(game.players, game.turns)
    same = {"prepare": game.prepare, "conditions": game.conditions}
    return [replace(stage, game=Game(game.players, turns, game.prior, game.minibatch, **same))]
