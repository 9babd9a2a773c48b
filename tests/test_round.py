"""Rounds: conditions, gradients within, other networks in the places of G and D."""

import pytest
import torch
from torch import Tensor, nn

from frenemy.engine import Engine, Share
from frenemy.game import Game, Player, Prior, Turn, alternating, between, slopes
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d, pairing_g
from frenemy.penalties import r1, r2, wgan_gp

from .tiny import COUNT, SHAPE, game_of, minibatch, play, same, sgd, weights


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Told(nn.Module):
    """A generator or a discriminator that multiplies its input by something it is told."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, a: Tensor, y: Tensor, grey: Tensor) -> Tensor:
        told = self.scale[y] * grey.mean(dim=(1, 2, 3))
        return self.net(a) * told.view(-1, *[1] * (self.net(a).ndim - 1))


def classes_and_grey(x, y):
    return y, x.mean(1, keepdim=True)


def conditional(turns, **options):
    torch.manual_seed(0)
    G = Told(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Unflatten(1, SHAPE)))
    D = Told(
        nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))
    )
    players = {"G": Player(G, sgd(G)), "D": Player(D, sgd(D))}
    return Game(players, turns, Prior("gaussian", 3), COUNT, conditions=classes_and_grey, **options)


# Conditions


@pytest.mark.parametrize("joint", [True, False])
def test_both_players_are_told_the_conditions_of_the_minibatch_as_drawn(joint):
    seen = []

    def looking(r):
        x, y = minibatch(0, 0)
        c = classes_and_grey(x, y)
        seen.append((r.DGz, r.D(r.G(r.z, *c), *c), r.Dx, r.D(0.5 * x, *c)))
        return minimax_d(r)

    turn = Turn({"D": {looking: 1.0}}, joint=joint)
    game = conditional([turn], prepare=lambda x: 0.5 * x)
    game.play(minibatch, seed=0, step=0)
    ((DGz, by_hand, Dx, of_x),) = seen
    # the joint pass sums products of twice as many rows: float64 roundings
    torch.testing.assert_close(DGz, by_hand, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(Dx, of_x, rtol=1e-12, atol=1e-13)


def test_conditions_reach_the_gradients_of_every_player():
    moves = {r1: 1.0, r2: 1.0, wgan_gp: 1.0, minimax_d: 1.0}
    game = conditional([*alternating(moves, {nonsaturating_g: 1.0})])
    before = weights(game)
    play(game, [0])
    for name in ("G", "D"):
        assert not torch.equal(before[f"{name}.net.scale"], game.nets[name].scale)


def test_a_game_without_conditions_does_not_draw_images_for_a_turn_that_needs_none():
    def refuse(stream, i):
        raise AssertionError("drawn")

    game = game_of([Turn({"G": {nonsaturating_g: 1.0}})])
    game.play(refuse, seed=0, step=0)


def test_a_round_knows_its_number():
    numbers = []

    def noting(r):
        numbers.append(r.step)
        return minimax_d(r)

    play(game_of([Turn({"D": {noting: 1.0}})]), [0, 7])
    assert numbers == [0, 7]


# Gradients at images


def cube(x, *c):
    return x.flatten(1).pow(3).sum(1)


def test_slopes_are_closed_forms_and_differentiable():
    x = torch.randn(5, 1, 2, 2, requires_grad=True)
    logits, gradient = slopes(cube, x)
    torch.testing.assert_close(logits, cube(x))
    torch.testing.assert_close(gradient, 3 * x.square())
    (second,) = torch.autograd.grad(gradient.sum(), x)
    torch.testing.assert_close(second, 6 * x)


@pytest.mark.parametrize("order", [(r1, r2, pairing_d), (pairing_d, r1, r2), (r1, pairing_d, r2)])
@pytest.mark.parametrize("joint", [True, False])
def test_penalties_are_the_same_before_and_after_the_logits_are_asked_for(order, joint):
    losses = []
    for terms in (order, (pairing_d, r1, r2)):
        game = game_of([Turn({"D": dict.fromkeys(terms, 1.0)}, joint=joint)])
        play(game, [0])
        losses.append(weights(game))
    for key, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][key], rtol=1e-12, atol=1e-14)  # float64


def test_gradients_first_cost_one_pass_of_D():
    game = game_of([Turn({"D": {r1: 1.0, r2: 1.0, pairing_d: 1.0}}, joint=True)])
    passes = []
    game.nets["D"].register_forward_pre_hook(lambda *_: passes.append(1))
    play(game, [0])
    assert len(passes) == 1


# Other networks in the places of G and D


def two_directions(turns):
    torch.manual_seed(0)

    def maker():
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Tanh(), nn.Unflatten(1, SHAPE))

    def judge():
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))

    nets = {"to b": maker(), "to a": maker(), "a": judge(), "b": judge()}
    players = {name: Player(net, sgd(net)) for name, net in nets.items()}
    return Game(players, turns, Prior("gaussian", 4), COUNT)


def test_a_term_between_others_is_the_same_term_of_a_game_of_those():
    terms = {between(minimax_d, G="to b", D="b"): 1.0}
    game = two_directions(
        [Turn({"b": terms}), Turn({"to b": {between(nonsaturating_g, G="to b", D="b"): 1.0}})]
    )
    pair = {"G": game.players["to b"], "D": game.players["b"]}
    alone = Game(
        pair,
        [Turn({"D": {minimax_d: 1.0}}), Turn({"G": {nonsaturating_g: 1.0}})],
        game.prior,
        COUNT,
    )
    start = {k: v.clone() for k, v in weights(game).items()}
    (record,) = play(game, [0])
    together = weights(game)
    for name, player in game.players.items():
        player.load(
            {k.removeprefix(f"{name}."): v for k, v in start.items() if k.startswith(f"{name}.")}
        )
    (expected,) = play(alone, [0])
    assert same(weights(game), together)
    assert record == {
        "b/minimax_d[to b, b]": expected["D/minimax_d"],
        "to b/nonsaturating_g[to b, b]": expected["G/nonsaturating_g"],
        "b(x)": expected["D(x)"],
        "b(to b(z))": expected["D(G(z))"],
    }


def test_a_view_gives_a_pair_its_own_images_and_terms_share_its_passes():
    def swapped(r):
        return r.x.flip(0) * 2, ()

    seen = []

    def looking(r):
        seen.append((r.x, r.cast("to a", "a", swapped)))
        return between(minimax_d, G="to a", D="a", view=swapped)(r)

    game = two_directions(
        [Turn({"a": {looking: 1.0, between(r1, G="to a", D="a", view=swapped): 1.0}})]
    )
    play(game, [0])
    ((x, other),) = seen
    assert torch.equal(other.x, 2 * x.flip(0))
    assert other.cast("to a", "a") is not other


# After a turn


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.register_buffer("right", torch.zeros(()))

    def forward(self, x):
        return self.linear(x.flatten(1)).squeeze(1)


def test_after_a_turn_buffers_may_follow_what_it_saw_and_are_recorded():
    def after(r):
        right = (r.Dx > 0).double().mean()
        r.nets["D"].right.lerp_(right, 0.5)
        return {"right": right, "noted": r.notes["logits"].sum()}

    def noting(r):
        r.notes["logits"] = r.Dx
        return minimax_d(r)

    D = Counting()
    G = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, SHAPE))
    turns = [Turn({"D": {noting: 1.0}}, after=after)]
    game = Game(
        {"D": Player(D, sgd(D)), "G": Player(G, sgd(G))}, turns, Prior("gaussian", 3), COUNT
    )
    before = D.right.clone()
    (record,) = play(game, [0])
    assert D.right == before + 0.5 * (record["right"] - before)
    assert not record["noted"].requires_grad
    assert "D.net.right" in weights(game)


# What looks across a minibatch


@pytest.mark.parametrize("normalised", [True, False])
def test_batch_statistics_are_those_of_real_and_of_generated_images_alone(normalised):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(4)] if normalised else []
    D = nn.Sequential(nn.Flatten(), *norm, nn.Linear(4, 1), nn.Flatten(0))
    G = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, SHAPE))
    sizes = []
    D.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    players = {"D": Player(D, sgd(D)), "G": Player(G, sgd(G))}
    game = Game(
        players, alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0}), Prior("gaussian", 3), COUNT
    )
    play(game, [0])
    assert sizes == ([COUNT, COUNT, COUNT] if normalised else [2 * COUNT, COUNT])


# Precision


def in_single(stream, i):
    return minibatch(stream, i)[0].float(), None


def test_bfloat16_is_within_networks_alone():
    torch.set_default_dtype(torch.float32)
    kinds = []

    def looking(r):
        kinds.append((r.Dx.dtype, r.Gz.dtype, r.grad_Dx.dtype))
        return pairing_d(r)

    moves = {looking: 1.0, r1: 0.1, r2: 0.1}
    found = []
    for precision in ("float32", "bfloat16"):
        game = game_of([*alternating(moves, {pairing_g: 1.0})])
        record = game.play(in_single, seed=0, step=0, engine=Engine(precision))
        found.append(record)
        assert all(p.dtype == torch.float32 for p in game.nets["D"].parameters())
    assert set(kinds) == {(torch.float32,) * 3}
    for key, value in found[0].items():
        assert found[1][key] != value
        # bfloat16 keeps 8 bits, 2^-9 of relative error a product, of a dozen in a row
        torch.testing.assert_close(found[1][key], value, rtol=0.05, atol=0.02)


# Parts of a minibatch


def test_a_part_knows_the_whole_minibatch_whoever_stands_for_g_and_d():
    seen = {}

    def comparing(r):
        for one in (r, r.cast("D", "G")):
            assert (one.whole is one) == (len(r.z) == COUNT)
            whole = one.whole
            assert whole.nets["D"] is one.nets["D"]
            seen.setdefault(len(r.z), []).append((whole.z, whole.x.detach(), whole.y))
        return minimax_d(r)

    for parts in (1, 3):
        game = game_of([Turn({"D": {comparing: 1.0}})])
        game.play(minibatch, seed=0, step=0, engine=Engine(share=Share(parts=parts)))
    of_whole, of_parts = seen.values()
    assert len(of_parts) == 3 * len(of_whole)
    for found in of_parts:
        assert all(map(torch.equal, found, of_whole[0]))


def test_after_a_turn_the_whole_minibatch_is_known_whatever_its_parts():
    seen = []

    def after(r):
        seen.append((r.Dx, r.DGz, r.x.detach(), r.z, r.y, r.notes["x"]))
        return {"mean": r.Dx.mean()}

    def noting(r):
        r.notes["x"] = r.x.flatten(1).sum(1)
        return minimax_d(r)

    records = []
    for parts in (1, 3):
        game = game_of([Turn({"D": {noting: 1.0}}, joint=True, after=after)])
        engine = Engine(share=Share(parts=parts))
        records.append(game.play(minibatch, seed=0, step=0, engine=engine))
    for of_whole, of_parts in zip(*seen, strict=True):
        torch.testing.assert_close(of_parts, of_whole, rtol=1e-12, atol=1e-14)  # float64
    assert records[0].keys() == records[1].keys()
    for key, value in records[0].items():
        torch.testing.assert_close(records[1][key], value, rtol=1e-12, atol=1e-14)


def test_what_is_drawn_within_is_another_draw_in_every_part():
    masks = []

    def looking(r):
        masks.append(torch.rand(3))
        return minimax_d(r)

    game = game_of([Turn({"D": {looking: 1.0}})], dropout=True)
    for _ in range(2):
        game.play(minibatch, seed=0, step=0, engine=Engine(share=Share(parts=2)))
    assert torch.equal(masks[0], masks[2])
    assert torch.equal(masks[1], masks[3])
    assert not torch.equal(masks[0], masks[1])


def test_the_slopes_of_D_itself_are_taken_where_it_has_some():
    class Cubes(nn.Module):
        asked = 0

        def forward(self, x):
            return cube(x)

        def slopes(self, x):
            self.asked += 1
            return cube(x), 3 * x.square()

    game = game_of([Turn({"D": {r1: 1.0}})])
    r = game.round(game.turns[0], game.prior(COUNT), lambda: minibatch(0, 0))
    r.nets = {**r.nets, "D": Cubes()}
    torch.testing.assert_close(r.grad_Dx, 3 * r.x.square())
    assert r.nets["D"].asked == 1
    _, gradient = r.slopes(r.x)
    assert torch.equal(gradient, 3 * r.x.square())
