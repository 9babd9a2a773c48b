"""Players: their steps, schedules and averages, and that their state is all that they remember."""

import pytest
import torch
from torch import nn

from frenemy.game import HalfLife, Player, Turn, alternating, simultaneous
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import r1

from .tiny import COUNT, D_TERMS, G_TERMS, adam, game_of, play, same, sgd, weights


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# Players


def test_the_average_follows_with_a_decay_that_ramps_up():
    net = nn.Linear(1, 1)
    player = Player(net, torch.optim.SGD(net.parameters(), lr=0.5), averaging=0.9)
    assert player.best is player.average
    for step in (0, 1, 5, 17, 18, 19, 1000):
        before = [p.clone() for p in player.average.parameters()]
        player.move([torch.randn_like(p) for p in player.theta], step, COUNT)
        decay = min(0.9, step / (step + 2))
        expected = [decay * a + (1 - decay) * p for a, p in zip(before, player.theta, strict=True)]
        torch.testing.assert_close(  # float64 roundings
            list(player.average.parameters()), expected, rtol=1e-13, atol=1e-15
        )
    assert not any(p.requires_grad for p in player.average.parameters())


def test_while_it_ramps_up_the_average_weighs_rounds_by_their_number():
    # Shamir & Zhang (2013): polynomial-decay averaging with eta = 1 is sum t theta_t / sum t
    net = nn.Linear(3, 2)
    player = Player(net, torch.optim.SGD(net.parameters(), lr=0.5), averaging=0.99999)
    weighted = torch.zeros_like(net.weight)
    for step in range(20):
        player.move([torch.randn_like(p) for p in player.theta], step, COUNT)
        weighted += (step + 1) * net.weight.detach()
    expected = weighted / sum(range(1, 21))
    torch.testing.assert_close(  # float64 roundings
        player.average.weight.detach(), expected, rtol=1e-12, atol=1e-14
    )


def test_a_player_without_an_average_samples_from_its_net():
    net = nn.Linear(1, 1)
    assert Player(net, sgd(net)).best is net


def test_the_average_takes_over_the_buffers():
    net = nn.BatchNorm1d(2)
    player = Player(net, sgd(net), averaging=0.9)
    net(torch.randn(5, 2))
    player.move([torch.zeros_like(p) for p in player.theta], 0, COUNT)
    assert torch.equal(player.average.running_mean, net.running_mean)
    assert player.average.num_batches_tracked == 1


def test_the_schedule_sets_the_optimiser_before_each_step():
    net = nn.Linear(2, 1, bias=False)
    player = Player(net, sgd(net), schedule=lambda t: {"lr": 1.0 / (t + 1), "momentum": 0.0})
    for step in (0, 3):
        before = net.weight.detach().clone()
        player.move([torch.ones_like(net.weight)], step, COUNT)
        # momentum 0: the step is the rate alone; float64 roundings
        torch.testing.assert_close(net.weight.detach(), before - 1 / (step + 1))


def test_schedule_and_average_go_by_the_round():
    asked = []

    def schedule(t):
        asked.append(t)
        return {"lr": 0.1}

    game = game_of([Turn({"D": D_TERMS})], schedule=schedule, averaging=0.9)
    start = [p.detach().clone() for p in game.nets["D"].parameters()]
    play(game, [30])
    assert asked == [30]
    for a, p, s in zip(
        game.players["D"].average.parameters(), game.nets["D"].parameters(), start, strict=True
    ):
        # min(.9, 30 / 32) is .9; float64 roundings
        torch.testing.assert_close(a, s + 0.1 * (p.detach() - s), rtol=1e-12, atol=1e-15)


def test_moving_to_a_device_keeps_parameters_and_state():
    game = game_of(alternating(D_TERMS, G_TERMS), adam, averaging=0.9)
    play(game, range(2))
    theta = [id(p) for player in game.players.values() for p in player.theta]
    before = weights(game)
    assert game.to(torch.device("cpu")) is game
    assert [id(p) for player in game.players.values() for p in player.theta] == theta
    assert same(weights(game), before)
    assert game.device == torch.device("cpu")


def test_a_half_life_in_images_keeps_its_meaning_whatever_the_minibatch():
    for images in (10, 25):
        net = nn.Linear(3, 2)
        player = Player(net, sgd(net), averaging=HalfLife(500))
        start = player.average.weight.clone()
        with torch.no_grad():
            net.weight.add_(1)
        for step in range(500 // images):
            player.move([torch.zeros_like(p) for p in player.theta], step, images)
        # after its half-life the average is half way; float64 roundings of 50 products
        torch.testing.assert_close(player.average.weight, start + 0.5, rtol=1e-12, atol=1e-13)


def test_a_half_life_may_depend_on_the_round_and_of_0_the_average_is_the_network():
    net = nn.Linear(3, 2)
    player = Player(net, sgd(net), averaging=HalfLife(lambda t: 1000.0 * t))
    for step in (0, 1):
        before = player.average.weight.clone()
        player.move([torch.ones_like(p) for p in player.theta], step, images=500)
        decay = 0.5**0.5 if step else 0.0
        expected = decay * before + (1 - decay) * net.weight.detach()
        torch.testing.assert_close(player.average.weight, expected, rtol=1e-12, atol=1e-14)
    assert str(player.averaging) == "with a half-life that follows a schedule"
    assert str(HalfLife(5e5)) == "with a half-life of 500,000 images"


def test_a_schedule_sets_whatever_an_optimiser_has():
    # Adam with beta2 = 0 divides each gradient by its own size: steps of lr, whatever the gradient
    net = nn.Linear(4, 1, bias=False)
    betas = {0: (0.0, 0.9), 1: (0.0, 0.0)}
    adam = torch.optim.Adam(net.parameters(), lr=0.1, eps=0.0)
    player = Player(net, adam, schedule=lambda t: {"betas": betas[t]})
    for step, size in ((0, 3.0), (1, 7.0)):
        before = net.weight.detach().clone()
        player.move([size * torch.ones_like(net.weight)], step, COUNT)
        moved = before - net.weight.detach()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-12, atol=0)


# Saving and loading

OPTIMISERS = pytest.mark.parametrize("optimiser", [sgd, adam])
AVERAGES = pytest.mark.parametrize("averaging", [None, 0.9])


def fill(game, state):
    for name, player in game.players.items():
        part = f"{name}."
        player.load({k.removeprefix(part): v for k, v in state.items() if k.startswith(part)})


GAMES = {
    "alternating": alternating(D_TERMS, G_TERMS, k=2),
    "simultaneous": simultaneous(D_TERMS, G_TERMS),
    "lazy": [Turn({"D": {r1: 1.0}}, every=2), *alternating({pairing_d: 1.0}, {pairing_g: 1.0})],
    "penalty": [Turn({"D": {r1: 1.0}})],  # which gives the last bias no gradient, ever
}


@OPTIMISERS
@AVERAGES
@pytest.mark.parametrize("turns", GAMES.values(), ids=GAMES)
def test_training_on_from_a_state_is_bit_identical_to_never_having_stopped(
    turns, optimiser, averaging
):
    def new(init):
        return game_of(turns, optimiser, dropout=True, init=init, averaging=averaging)

    through = new(init=0)
    play(through, range(3))
    saved = weights(through)
    play(through, range(3, 6))

    resumed = new(init=1)
    play(resumed, range(1))  # an optimiser that has already stepped is filled as well as a new one
    fill(resumed, saved)
    assert same(weights(resumed), saved)
    kept = {key: value.clone() for key, value in saved.items()}
    play(resumed, range(3, 6))
    assert same(weights(resumed), weights(through))
    assert same(saved, kept)  # training on did not write into what was loaded


@OPTIMISERS
def test_a_state_before_the_first_round_makes_a_player_new_again(optimiser):
    game = game_of(alternating(D_TERMS, G_TERMS), optimiser)
    start = weights(game)
    play(game, range(2))
    once = weights(game)
    fill(game, start)
    play(game, range(2))
    assert same(weights(game), once)


def test_the_state_shares_memory():
    game = game_of(alternating(D_TERMS, G_TERMS), averaging=0.9)
    play(game, [0])
    player = game.players["G"]
    state = player.state()
    for prefix, net in (("net", player.net), ("average", player.average)):
        for name, p in net.named_parameters():
            assert state[f"{prefix}.{name}"].data_ptr() == p.data_ptr()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net.0.weight", None),
        ("net.0.weight", (3, 4)),
        ("net.extra", (1,)),
        ("average.0.weight", None),
        ("average.0.weight", (3, 4)),
        ("average.extra", (1,)),
        ("optimiser.0.momentum_buffer", (3, 4)),
        ("optimiser.9.momentum_buffer", (1,)),
        ("optimiser.first.momentum_buffer", (1,)),
        ("unheard_of.0.weight", (1,)),
        ("nonsense", (1,)),
    ],
)
def test_load_refuses_missing_wrong_and_misshapen_entries(key, value):
    game = game_of(alternating(D_TERMS, G_TERMS), averaging=0.9)
    play(game, [0])
    state = dict(game.players["G"].state())
    if value is None:
        del state[key]
    else:
        state[key] = torch.zeros(value)
    with pytest.raises(ValueError) as refused:
        game.players["G"].load(state)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("mine", "theirs"), [(0.9, None), (None, 0.9)])
def test_load_refuses_a_state_with_an_average_too_few_or_too_many(mine, theirs):
    game, other = (game_of(alternating(D_TERMS, G_TERMS), averaging=a) for a in (mine, theirs))
    with pytest.raises(ValueError):
        game.players["G"].load(other.players["G"].state())


@pytest.mark.parametrize("optimiser", [torch.optim.Adam, torch.optim.AdamW])
def test_the_order_of_weights_in_memory_changes_no_step(optimiser):
    """Fused kernels go through weights, gradients and state at once, in the order of memory."""

    def player():
        torch.manual_seed(0)
        net = nn.Conv2d(3, 4, 3)
        return Player(net, optimiser(net.parameters(), lr=0.1, fused=True))

    straight, last = player(), player()
    gradients = [[torch.randn_like(p) for p in straight.theta] for _ in range(4)]
    for step, gradient in enumerate(gradients):
        if step == 2:  # as a run goes on: the state comes from a file, then weights are laid out
            loaded = {k: v.clone().contiguous() for k, v in last.state().items()}
            last = player()
            last.load(loaded)
        if step in (0, 2):
            last.net.to(memory_format=torch.channels_last)
            last.arrange()
        straight.move(gradient, step, COUNT)
        last.move(gradient, step, COUNT)
    for p, q in zip(straight.theta, last.theta, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)  # float64 roundings
