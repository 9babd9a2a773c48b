"""What is measured of a game while it is played: by closed forms, and the same after a resume."""

import math

import pytest
import torch
from torch import nn

from frenemy.diagnosis import FEWEST_REAL, HEALTH, outcome
from frenemy.game import Game, Player, Prior, Turn
from frenemy.monitor import MEASURE_EVERY, Monitor, is_measured
from frenemy.objectives import OBJECTIVES, minimax_d, nonsaturating_g
from frenemy.penalties import consensus, r1
from frenemy.unrolling import unrolled

B = 64


class Logit(nn.Module):
    """D(x) = scale * x, summed over the coordinates."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x):
        return self.scale * x.sum(1)


class Shift(nn.Module):
    """G(z) = spread * z + theta."""

    def __init__(self, theta=0.0, spread=1.0):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))
        self.spread = spread

    def forward(self, z):
        return self.spread * z + self.theta


def normal(stream, i):
    generator = torch.Generator().manual_seed(1000 * stream + i)
    return torch.randn(B, 2, generator=generator), None


def game(G=None, D=None, objective="nonsaturating", rate=0.0, extra=()):
    terms = OBJECTIVES[objective]
    nets = {"D": D or Logit(), "G": G or Shift()}
    players = {
        name: Player(net, torch.optim.SGD(net.parameters(), lr=rate)) for name, net in nets.items()
    }
    turns = [Turn({"D": {terms.d: 1.0}}), *extra, Turn({"G": {terms.g: 1.0}})]
    return Game(players, turns, Prior("gaussian", 2), B)


def measured(g, step=0, monitor=None):
    monitor = monitor or Monitor(g, normal, seed=0)
    record = g.play(normal, seed=0, step=step, observe=monitor.observer())
    found = {**record, **monitor.compare(MEASURE_EVERY * (step + 1))}
    return {k.removeprefix(HEALTH): v.item() for k, v in found.items() if k.startswith(HEALTH)}


def test_a_perfect_generator_is_as_diverse_as_the_data():
    found = measured(game())
    # both are means over the pairs of 256 normal points: deviation about 1 / sqrt 256 each
    assert found["diversity"] == pytest.approx(1, abs=4 * math.sqrt(2) / 16)
    assert found["precision"] > 0.85 and found["recall"] > 0.85
    assert found["repeats"] < 0.05


def test_a_collapsed_generator_repeats_itself():
    found = measured(game(Shift(spread=1e-4)))
    assert found["diversity"] < 1e-3 and found["repeats"] == 1
    assert found["recall"] < 0.02 < 0.9 < found["precision"]  # it makes one good point


class Classed(Shift):
    """G(z, y) = spread * z + (4 y, 0)."""

    def forward(self, z, y):
        return super().forward(z) + 4 * nn.functional.pad(y[:, None].float(), (0, 1))


@pytest.mark.parametrize(("spread", "expected"), [(1.0, 1.0), (0.1, 0.1)])
def test_samples_of_a_class_are_as_far_apart_as_g_makes_them(spread, expected):
    def classes(stream, i):
        x, _ = normal(stream, i)
        y = torch.arange(B) % 3
        return x + 4 * nn.functional.pad(y[:, None].float(), (0, 1)), y

    D = Logit()
    D.forward = lambda x, y: x.sum(1)
    g = game(Classed(spread=spread), D)
    g.conditions = lambda x, y: (y,)
    found = Monitor(g, classes, seed=0).compare(MEASURE_EVERY)
    found = {k.removeprefix(HEALTH): v.item() for k, v in found.items()}
    # means over the pairs of 85 normal points of each class
    assert found["diversity within classes"] == pytest.approx(expected, rel=4 / math.sqrt(85))
    assert found["diversity"] > 0.7  # whatever z does, there are three classes
    assert "diversity within classes" not in measured(game())


def test_the_value_of_a_discriminator_that_knows_nothing_is_minus_log_four():
    assert measured(game(D=Logit(0.0)))["value"] == pytest.approx(0, abs=1e-6)


def test_a_discriminator_that_is_ahead():
    found = measured(game(Shift(-50.0), Logit(3.0)))
    assert found["D right on x"] < 0.7 and found["D right on G(z)"] == 1
    assert found["D ahead"] == 1
    # D(x) has mean 0, D(G(z)) has mean -300
    assert found["margin"] == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("minimax", torch.sigmoid),  # d log(1 - sigmoid(l)) / dl
        ("nonsaturating", lambda logit: 1 - torch.sigmoid(logit)),
        ("wasserstein", torch.ones_like),
        ("least-squares", lambda logit: (logit - 1).abs()),
    ],
)
def test_the_signal_is_the_slope_of_the_generators_loss(objective, expected):
    g = game(Shift(-3.0), objective=objective)
    seen = []
    monitor = Monitor(g, normal, seed=0)

    def observe(r, turn, gradients):
        if "G" in turn.moves:
            seen.append(r.DGz.detach())
        return monitor.observer()(r, turn, gradients)

    record = g.play(normal, seed=0, step=0, observe=observe)
    (logits,) = seen
    assert record["health/G signal"].item() == pytest.approx(
        expected(logits).mean().item(), rel=1e-5
    )


def test_turns_that_both_share_are_measured_whatever_terms_they_have():
    plain, agreed = nonsaturating_g, consensus(minimax_d, nonsaturating_g)
    ahead = unrolled(minimax_d, plain, k=1, rate=0.1)
    found = {}
    for name, moves in {
        "plain": {"D": {minimax_d: 1.0}, "G": {plain: 1.0}},
        "consensus": {"D": {minimax_d: 1.0, agreed: 0.1}, "G": {plain: 1.0, agreed: 0.1}},
        "unrolled": {"D": {minimax_d: 1.0}, "G": {ahead: 1.0}},
    }.items():
        both = game(Shift(-3.0))
        found[name] = measured(Game(both.players, [Turn(moves)], both.prior, B))
    alone = measured(game(Shift(-3.0)))["G signal"]
    assert found["plain"]["G signal"] == pytest.approx(alone, rel=0.1)  # of other z
    assert found["consensus"]["G signal"] > 0
    assert "G signal" not in found["unrolled"]  # its D is another


def test_gradients_are_measured_as_they_are():
    # L_G = -mean(D(G(z))) = -mean(scale (z1 + z2 + 2 theta)): slope -2 scale by theta
    assert measured(game(D=Logit(5.0), objective="wasserstein"))["G gradient"] == pytest.approx(10)


def test_the_ratio_of_the_players_gradients():
    found = measured(game(Shift(-1.0), Logit(0.5)))
    ratio = found["G gradient"] / found["D gradient"]
    assert found["gradient ratio"] == pytest.approx(ratio) and ratio > 0
    # D(x) = 0 whatever theta is, and |grad D| > 0: nothing reaches G
    assert measured(game(Shift(-1.0), Logit(0.0)))["gradient ratio"] == 0


def test_a_gradient_that_is_zero_has_no_ratio():
    g = game(Shift(spread=0.0))  # D(G(z)) = 0, and D(x) = 0 for what follows
    monitor = Monitor(g, normal, seed=0)

    def nothing(stream, i):
        return torch.zeros(B, 2), None

    record = g.play(nothing, seed=0, step=0, observe=monitor.observer())
    assert record["health/D gradient"] == 0
    assert "health/gradient ratio" not in record


def test_lazy_turns_are_not_measured():
    lazy = Turn({"D": {r1: 1.0}}, every=4)
    with_penalty = measured(game(D=Logit(2.0), extra=[lazy]))
    assert with_penalty["D gradient"] == measured(game(D=Logit(2.0)))["D gradient"]


def test_motion_between_measurements():
    g = game()
    monitor = Monitor(g, normal, seed=0)
    first = measured(g, 0, monitor)
    assert "motion" not in first
    G = g.players["G"].net
    with torch.no_grad():
        G.theta += 1.0  # every sample moves by (1, 1)
    second = measured(g, 1, monitor)
    # the mean distance of two points of a normal plane is sqrt(pi)
    assert second["motion"] == pytest.approx(math.sqrt(2) / math.sqrt(math.pi), rel=0.15)


def test_memory_makes_a_second_monitor_measure_the_same():
    whole, resumed = [game(rate=0.1) for _ in range(2)]
    monitor = Monitor(whole, normal, seed=0)
    expected = [measured(whole, step, monitor) for step in range(4)]
    first = Monitor(resumed, normal, seed=0)
    found = [measured(resumed, step, first) for step in range(2)]
    of_old = {"weights": [0.1, 0.2], "update": [0.3]}  # which earlier checkpoints hold beside it
    second = Monitor(resumed, normal, seed=0, memory={**first.memory, **of_old})
    found += [measured(resumed, step, second) for step in range(2, 4)]
    assert found == expected


def test_measuring_changes_nothing():
    watched, alone = [game(rate=0.1) for _ in range(2)]
    monitor = Monitor(watched, normal, seed=0)
    for step in range(3):
        measured(watched, step, monitor)
        alone.play(normal, seed=0, step=step)
    for name, player in watched.players.items():
        for key, value in player.state().items():
            assert torch.equal(value, alone.players[name].state()[key])


def few(count):
    pool = torch.randn(count, 2, generator=torch.Generator().manual_seed(7))

    def draw(stream, i):
        return pool[(torch.arange(B) + i * B) % count], None

    return draw


NEIGHBOURHOODS = {
    f"health/{name}" for name in ("repeats", "precision", "recall", "coverage", "distance")
}


def test_of_few_images_no_neighbourhoods_are_judged():
    found = Monitor(game(), few(24), seed=0).compare(100)
    assert set(found) == {"health/images", "health/diversity"}
    # the mean of the pairs of 24 normal points deviates by about 1 / sqrt 24
    assert found["health/diversity"].item() == pytest.approx(1, abs=3 / math.sqrt(24))


def test_images_that_come_round_again_count_once():
    found = Monitor(game(), few(FEWEST_REAL), seed=0).compare(100)
    assert set(found) >= NEIGHBOURHOODS
    assert found["health/coverage"] > 0.6 and found["health/precision"] > 0.6
    assert found["health/repeats"] < 0.05
    assert (
        Monitor(game(Shift(spread=1e-4)), few(FEWEST_REAL), seed=0).compare(100)["health/repeats"]
        == 1
    )


def test_one_image_alone_gives_no_scale_to_measure_by():
    g = game()
    monitor = Monitor(g, few(1), seed=0)
    assert [set(measured(g, step, monitor)) & {"diversity", "motion"} for step in range(2)] == [
        *(set(), set())
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "there is only one distinct real image"), (24, "fewer than 50 different real images")],
)
def test_of_a_game_on_few_images_nothing_good_is_claimed(count, said):
    g = game(D=Logit(0.0))  # D tells nothing apart, G makes what a normal variable is
    monitor = Monitor(g, few(count), seed=0)
    history = [{"step": 100 * (i + 1), **measured(g, i, monitor)} for i in range(25)]
    assert outcome(history).word == "cannot tell"
    assert said in outcome(history).sentence


def test_images_are_seen_by_random_features():
    def pictures(stream, i):
        generator = torch.Generator().manual_seed(i)
        return torch.rand(B, 1, 8, 8, generator=generator) * 2 - 1, None

    class Pictures(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.zeros(1, 8, 8))

        def forward(self, z):
            return (z[:, :1, None, None] + self.theta).tanh()

    class Mean(Logit):
        def forward(self, x):
            return super().forward(x.flatten(1))

    g = game(Pictures(), Mean())
    found = Monitor(g, pictures, seed=0).compare(100)
    assert set(found) >= {"health/diversity", "health/recall"}


def test_samples_that_are_not_finite_are_left_to_the_training_loop():
    assert Monitor(game(Shift(math.nan)), normal, seed=0).compare(100) == {}


def test_measurements_are_denser_at_first():
    found = [rounds for rounds in range(1, 1200) if is_measured(rounds)]
    assert found == [*range(50, 501, 50), *range(600, 1200, 100)]


def test_chains_are_measured_more_rarely_and_have_no_motion():
    found = [rounds for rounds in range(1, 1600) if is_measured(rounds, chains=True)]
    assert found == [*range(50, 501, 50), 1000, 1500]
    g = game()
    chained = Game(g.players, g.turns, g.prior, g.minibatch, rows=10)
    monitor = Monitor(chained, normal, seed=0)
    assert not [n for n in (100, 200) if "health/motion" in monitor.compare(n)]


def test_images_are_counted_and_motion_is_that_of_a_hundred_rounds():
    g = game()
    monitor = Monitor(g, normal, seed=0)
    found = {rounds: monitor.compare(rounds) for rounds in (100, 150, 200)}
    assert [row["health/images"].item() for row in found.values()] == [100 * B, 150 * B, 200 * B]
    assert [rounds for rounds, row in found.items() if "health/motion" in row] == [200]


def test_the_distance_of_samples_from_real_images():
    near = Monitor(game(), normal, seed=0).compare(100)["health/distance"].item()
    assert near == pytest.approx(1, abs=0.3)  # of 256 points, to the others and to as many more
    far = Monitor(game(Shift(50.0)), normal, seed=0).compare(100)["health/distance"].item()
    assert far > 50 * near


def test_what_g_makes_as_it_plays_is_compared_too():
    g = game(Shift(spread=0.01))
    g.players["G"].average = Shift(spread=1.0)
    found = measured(g)
    assert found["diversity in play"] == pytest.approx(0.01, rel=0.3)
    assert found["diversity"] == pytest.approx(1, abs=0.3)


def test_pairs_that_d_does_not_rank_count_half():
    assert measured(game(D=Logit(0.0)))["D ahead"] == 0.5
