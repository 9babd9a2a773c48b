"""Algorithm 1: who moves when, on what, and that a round is a function of (seed, step, state)."""

import copy
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Turn, alternating, mix, simultaneous, value_at
from frenemy.objectives import (
    hinge_d,
    minimax_d,
    nonsaturating_g,
    pairing_d,
    pairing_g,
    wasserstein_g,
)
from frenemy.penalties import r1, r2

from .tiny import COUNT, D_TERMS, G_TERMS, SHAPE, adam, game_of, minibatch, play, same, sgd, weights


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def watch_moves(game, monkeypatch):
    """(name, gradient) of every move as it is made; the players really move."""
    moves = []

    def watched(name, move):
        def wrapper(gradient, step, images):
            moves.append((name, [None if g is None else g.clone() for g in gradient]))
            move(gradient, step, images)

        return wrapper

    for name, player in game.players.items():
        monkeypatch.setattr(player, "move", watched(name, player.move))
    return moves


# Who moves, and on what


@pytest.mark.parametrize("k", [1, 3])
def test_k_steps_of_D_on_fresh_minibatches_then_one_of_G(k, monkeypatch):
    game = game_of(alternating(D_TERMS, G_TERMS, k))
    moves = watch_moves(game, monkeypatch)
    asked = []

    def recording(stream, i):
        asked.append((stream, i))
        return minibatch(stream, i)

    for step in range(3):
        game.play(recording, seed=0, step=step)
    assert [name for name, _ in moves] == (["D"] * k + ["G"]) * 3
    # G's loss asks for no x, so none is drawn
    assert asked == [(0, i) for i in range(3 * k)]


def test_a_turn_of_G_that_asks_for_x_reads_a_stream_of_its_own():
    game = game_of(alternating({pairing_d: 1.0}, {pairing_g: 1.0}, k=2))
    asked = []

    def recording(stream, i):
        asked.append((stream, i))
        return minibatch(stream, i)

    for step in range(2):
        game.play(recording, seed=0, step=step)
    assert asked == [(0, 0), (0, 1), (1, 0), (0, 2), (0, 3), (1, 1)]


@pytest.mark.parametrize("mover", ["D", "G"])
@pytest.mark.parametrize("joint", [False, True])
def test_only_the_player_whose_turn_it_is_moves(mover, joint):
    terms = {"D": D_TERMS, "G": G_TERMS}[mover]
    game = game_of([Turn({mover: terms}, joint=joint)])
    before = {name: copy.deepcopy(net.state_dict()) for name, net in game.nets.items()}
    play(game, [0])
    for name, net in game.nets.items():
        for key, value in net.state_dict().items():
            assert torch.equal(value, before[name][key]) == (name != mover), (name, key)
        assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("learners", [("D",), ("G",), ("D", "G")])
def test_G_remembers_how_it_made_Gz_only_where_it_learns(learners):
    made = []

    def looking(term):
        def wrapper(r):
            made.append(r.Gz.grad_fn is not None)
            return term(r)

        return wrapper

    terms = {"D": {looking(minimax_d): 1.0}, "G": {looking(nonsaturating_g): 1.0}}
    play(game_of([Turn({name: terms[name] for name in learners})]), [0])
    assert made == ["G" in learners] * len(learners)


def test_every_minibatch_meets_fresh_noise():
    game = game_of(alternating(D_TERMS, G_TERMS, k=3))
    seen = []
    game.nets["G"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    play(game, range(2))
    play(game, [0], seed=1)
    assert len(seen) == 3 * 4
    assert len({tuple(z.flatten().tolist()) for z in seen}) == len(seen)
    assert all(z.shape == (COUNT, 3) for z in seen)


@pytest.mark.parametrize("name", ["D.real", "D/real"])
def test_names_that_checkpoints_and_logs_would_split_are_refused(name):
    player = game_of([Turn({"D": D_TERMS})]).players["D"]
    with pytest.raises(FrenemyError, match=r"checkpoints and logs need \. and / themselves"):
        Game({name: player}, [], Prior("gaussian", 3), COUNT)


def test_a_turn_of_nobody_is_refused():
    with pytest.raises(FrenemyError, match="a turn is Q's, but the players are D, G"):
        game_of([Turn({"Q": D_TERMS})])


def test_every_says_in_which_rounds_a_turn_is_played_and_skips_no_minibatch():
    turns = [Turn({"D": D_TERMS}), Turn({"D": {hinge_d: 1.0}}, steps=2, every=3)]
    game = game_of(turns)
    asked = []

    def recording(stream, i):
        asked.append((stream, i))
        return minibatch(stream, i)

    for step in range(7):
        record = game.play(recording, seed=0, step=step)
        assert ("D/hinge_d" in record) == (step % 3 == 0)
    assert [i for stream, i in asked if stream == 0] == list(range(7))
    assert [i for stream, i in asked if stream == 1] == list(range(6))


@pytest.mark.parametrize("penalty", [r1, r2])
@pytest.mark.parametrize("optimiser", [sgd, adam])
def test_a_lazy_regulariser_may_have_a_turn_of_its_own(penalty, optimiser):
    game = game_of([Turn({"D": {penalty: 1.0}}, every=4)], optimiser)
    theta = game.players["D"].theta
    start = [p.detach().clone() for p in theta]
    records = play(game, range(5))
    assert [f"D/{penalty.__name__}" in record for record in records] == [1, 0, 0, 0, 1]
    moved = [not torch.equal(p, s) for p, s in zip(theta, start, strict=True)]
    assert moved == [True, True, True, False]  # the last bias has no part in D's slope


def test_labels_reach_the_terms():
    seen = []

    def conditional(r):
        seen.append(r.y)
        return minimax_d(r)

    play(game_of([Turn({"D": {conditional: 1.0}})]), [0])
    assert seen[0].tolist() == [0, 1, 2, 0, 1, 2]


# One forward pass serves both


def count_calls(game):
    calls = dict.fromkeys(game.nets, 0)

    def counted(name):
        def hook(*_):
            calls[name] += 1

        return hook

    for name, net in game.nets.items():
        net.register_forward_hook(counted(name))
    return calls


@pytest.mark.parametrize(
    ("turns", "G", "D"),
    [
        (simultaneous({minimax_d: 1.0, r1: 1.0, r2: 1.0}, G_TERMS), 1, 2),  # D(x), D(G(z))
        ([Turn({"D": D_TERMS, "G": G_TERMS}, joint=True)], 1, 1),
        (alternating(D_TERMS, G_TERMS), 2, 2),  # D's turn: both at once; G's: D(G(z))
        ([Turn({"D": {minimax_d: 1.0, r1: 1.0, r2: 1.0}})], 1, 2),
        ([Turn({"G": {nonsaturating_g: 1.0, wasserstein_g: 1.0}})], 1, 1),
    ],
)
def test_G_and_D_run_no_more_often_than_the_terms_need(turns, G, D):
    game = game_of(turns)
    calls = count_calls(game)
    play(game, [0])
    assert calls == {"G": G, "D": D}


def test_a_joint_turn_differentiates_d_at_both_in_one_pass(monkeypatch):
    calls = []
    grad = torch.autograd.grad

    def counted(outputs, inputs, **options):
        calls.append(inputs)
        return grad(outputs, inputs, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    play(game_of([Turn({"D": {minimax_d: 1.0, r1: 1.0, r2: 1.0}}, joint=True)]), [0])
    assert len(calls) == 2  # at x and G(z) together; then of the loss


def test_simultaneous_players_both_look_before_either_leaps():
    game = game_of(simultaneous(D_TERMS, G_TERMS))
    D, G = copy.deepcopy(game.nets["D"]), copy.deepcopy(game.nets["G"])
    torch.manual_seed(mix(5, 2, 0, 0))
    z = torch.randn(COUNT, 3)
    logits = SimpleNamespace(Dx=D(minibatch(0, 2)[0]), DGz=D(G(z)))
    for net, term in ((D, minimax_d), (G, nonsaturating_g)):
        theta = list(net.parameters())
        gradient = torch.autograd.grad(term(logits).mean(), theta, retain_graph=True)
        with torch.no_grad():
            net.moved = [p - 0.1 * g for p, g in zip(theta, gradient, strict=True)]
    game.play(minibatch, seed=5, step=2)
    for mine, theirs in ((D, game.nets["D"]), (G, game.nets["G"])):
        torch.testing.assert_close(  # float64 roundings
            mine.moved, [p.detach() for p in theirs.parameters()], rtol=1e-13, atol=1e-14
        )


@pytest.mark.parametrize(
    "moves",
    [
        {"D": {minimax_d: 0.5, r1: 2.0, r2: 3.0}},
        {"D": {pairing_d: 1.0}, "G": {pairing_g: 1.0}},
    ],
)
def test_a_joint_pass_has_the_values_and_gradients_of_separate_ones(moves, monkeypatch):
    results = []
    for joint in (False, True):
        game = game_of([Turn(moves, joint=joint)])
        made = watch_moves(game, monkeypatch)
        records = play(game, range(3))
        results.append((records, [gradient for _, gradient in made]))
    torch.testing.assert_close(*results, rtol=1e-11, atol=1e-13)  # float64 sums, other orders


# A round is a function of (seed, step, state)


@pytest.mark.parametrize("optimiser", [sgd, adam])
def test_the_same_round_twice_is_bit_identical_whatever_was_drawn_before(optimiser):
    results = []
    for noise in (1, 2):
        game = game_of(alternating(D_TERMS, G_TERMS, k=2), optimiser, dropout=True, averaging=0.9)
        torch.manual_seed(noise)  # must not matter
        records = play(game, [7, 8], seed=3)
        results.append((weights(game), records))
    (first, said), (second, again) = results
    assert same(first, second)
    assert all(same(a, b) for a, b in zip(said, again, strict=True))


@pytest.mark.parametrize(("seed", "step"), [(0, 1), (1, 0)])
def test_another_seed_or_step_is_another_round(seed, step):
    games = [game_of([Turn({"G": G_TERMS})]) for _ in range(2)]  # no x: only z can differ
    games[0].play(minibatch, seed=0, step=0)
    games[1].play(minibatch, seed=seed, step=step)
    assert not same(weights(games[0]), weights(games[1]))


def test_dropout_differs_between_the_minibatches_of_a_round(monkeypatch):
    game = game_of([Turn({"D": D_TERMS}, steps=2)], dropout=True)
    masks = []
    game.nets["D"][3].register_forward_hook(lambda _, inputs, y: masks.append(y / inputs[0]))
    play(game, [0])
    assert not torch.equal(masks[0], masks[2])  # 0 and 2: D(x) of either minibatch


# Algorithm 1 by hand


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def algorithm1(theta, k, rounds, lr, momentum, seed):
    """Algorithm 1 in NumPy for G(z) = A z + a and D(x) = w.x + b, with momentum."""
    A, a, w, b = theta
    velocity = [np.zeros_like(p) for p in theta]

    def move(which, gradients):
        for i, g in zip(which, gradients, strict=True):
            velocity[i] = momentum * velocity[i] + g
            theta[i] -= lr * velocity[i]

    for step in range(rounds):
        for j in range(k):
            torch.manual_seed(mix(seed, step, 0, j))
            z = torch.randn(COUNT, 3).numpy()
            x = minibatch(0, step * k + j)[0].flatten(1).numpy()
            Gz = z @ A.T + a
            on_x = (sigmoid(x @ w + b) - 1) / COUNT  # d loss / d D(x)
            on_Gz = sigmoid(Gz @ w + b) / COUNT
            move([2, 3], [x.T @ on_x + Gz.T @ on_Gz, on_x.sum(keepdims=True) + on_Gz.sum()])
        torch.manual_seed(mix(seed, step, 1, 0))
        z = torch.randn(COUNT, 3).numpy()
        on_Gz = np.outer((sigmoid((z @ A.T + a) @ w + b) - 1) / COUNT, w)  # (COUNT, 4)
        move([0, 1], [on_Gz.T @ z, on_Gz.sum(0)])
    return theta


@pytest.mark.parametrize("k", [1, 3])
def test_play_is_algorithm_1_by_hand(k):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, SHAPE))
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))
    start = [G[0].weight, G[0].bias, D[1].weight[0], D[1].bias]
    expected = algorithm1(
        [p.detach().numpy().copy() for p in start], k=k, rounds=5, lr=0.1, momentum=0.7, seed=4
    )
    players = {"D": Player(D, sgd(D)), "G": Player(G, sgd(G))}
    game = Game(players, alternating(D_TERMS, G_TERMS, k), Prior("gaussian", 3), COUNT)
    play(game, range(5), seed=4)
    for found, by_hand in zip(start, expected, strict=True):
        # float64 roundings over some 20 steps
        np.testing.assert_allclose(found.detach().numpy(), by_hand, rtol=1e-12, atol=1e-14)


# Terms and their weights


def gradient_of(terms, monkeypatch):
    """D's gradient and record in one round on weighted terms."""
    game = game_of([Turn({"D": terms})])
    moves = watch_moves(game, monkeypatch)
    (record,) = play(game, [0])
    return moves[0][1], record


def test_a_loss_is_the_weighted_sum_of_its_terms(monkeypatch):
    alone = [gradient_of({term: 1.0}, monkeypatch) for term in (minimax_d, hinge_d)]
    both, record = gradient_of({minimax_d: 0.5, hinge_d: -2.0}, monkeypatch)
    expected = [0.5 * a - 2 * b for a, b in zip(alone[0][0], alone[1][0], strict=True)]
    torch.testing.assert_close(both, expected, rtol=1e-12, atol=1e-14)  # float64 roundings
    for (_, single), name in zip(alone, ("D/minimax_d", "D/hinge_d"), strict=True):
        assert record[name] == single[name]  # recorded unweighted


def test_a_weight_may_depend_on_the_round(monkeypatch):
    scheduled, _ = gradient_of({minimax_d: 1.0, r1: lambda step: 3.0 + step}, monkeypatch)
    fixed, _ = gradient_of({minimax_d: 1.0, r1: 3.0}, monkeypatch)  # in round 0
    assert all(torch.equal(a, b) for a, b in zip(scheduled, fixed, strict=True))
    assert [value_at(step, lambda t: 2.0 * t) for step in (0, 5)] == [0.0, 10.0]


def test_terms_of_one_name_are_all_played(monkeypatch):
    def renamed(term):
        def wrapper(r):
            return term(r)

        return wrapper

    expected, _ = gradient_of({minimax_d: 1.0, hinge_d: 1.0}, monkeypatch)
    found, _ = gradient_of({renamed(minimax_d): 1.0, renamed(hinge_d): 1.0}, monkeypatch)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)  # float64 roundings


def test_the_record_holds_means_of_terms_and_beliefs():
    game = game_of(alternating(D_TERMS, G_TERMS))
    D, G = copy.deepcopy(game.nets["D"]), copy.deepcopy(game.nets["G"])
    (record,) = play(game, [0])
    torch.manual_seed(mix(0, 0, 0, 0))
    Dx, DGz = D(minibatch(0, 0)[0]).detach(), D(G(torch.randn(COUNT, 3))).detach()
    assert record.keys() == {"D/minimax_d", "G/nonsaturating_g", "D(x)", "D(G(z))"}
    loss = -(Dx.sigmoid().log() + (1 - DGz.sigmoid()).log()).mean()
    # float64 roundings
    torch.testing.assert_close(record["D/minimax_d"], loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(record["D(x)"], Dx.sigmoid().mean(), rtol=1e-12, atol=0)
    assert 0 < record["D(G(z))"] < 1
    assert all(v.ndim == 0 and not v.requires_grad for v in record.values())


# Seeds and noise


def test_mix_depends_on_every_number_and_their_order():
    tuples = list(itertools.product(range(6), repeat=4))
    seeds = [mix(*numbers) for numbers in tuples]
    assert len(set(seeds)) == len(tuples)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [mix(*numbers) for numbers in tuples]


def test_mix_is_the_same_everywhere():
    assert mix(0, 0, 0, 0) == 7896617691693857887  # else checkpoints go on differently


@pytest.mark.parametrize("step", [2**31, 2**32, 2**32 + 1, 2**40])
def test_mix_takes_large_numbers(step):
    assert (
        len({mix(0, step, 0, 0), mix(0, step + 1, 0, 0), mix(step, 0, 0, 0), mix(0, 0, 0, 0)}) == 4
    )


@pytest.mark.parametrize(("kind", "kurtosis"), [("gaussian", 3.0), ("uniform", 1.8)])
def test_the_prior_has_zero_mean_and_unit_variance_in_independent_variables(kind, kurtosis):
    count = 50_000
    z = Prior(kind, 3)(count, torch.Generator().manual_seed(0))
    assert z.shape == (count, 3)
    # 4 standard errors: of a mean 1/sqrt N, of a variance sqrt((kurtosis - 1)/N)
    assert z.mean(0).abs().max() < 4 / math.sqrt(count)
    assert (z.var(0) - 1).abs().max() < 4 * math.sqrt((kurtosis - 1) / count)
    assert (z.T.corrcoef() - torch.eye(3)).abs().max() < 4 / math.sqrt(count)
    # 4 standard errors of the fourth moment are at most 4 sqrt(105 / N) = .18
    assert (z.pow(4).mean(0) - kurtosis).abs().max() < 0.2


def test_uniform_noise_fills_its_interval():
    z = Prior("uniform", 3)(10_000)
    assert z.abs().max() <= math.sqrt(3)
    assert z.min() < -1.73
    assert z.max() > 1.73


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_noise_is_a_function_of_the_generator(kind):
    prior = Prior(kind, 4)
    draws = [prior(5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.manual_seed(0)
    assert torch.equal(prior(5), draws[0])  # none given: the global one
