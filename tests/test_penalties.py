"""Gradient penalties against closed forms, finite differences and second derivatives."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Round, Turn, simultaneous
from frenemy.nets.dcgan import discriminator
from frenemy.nets.mlp import Logit, Maxout
from frenemy.nets.r3gan import Discriminator
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.penalties import (
    consensus,
    differences,
    lazily,
    on_share,
    penalties_named,
    r1,
    r2,
    wgan_gp,
)
from frenemy.round import slopes

SHAPE = (2, 3, 2)


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def round_of(D, x=None, z=None, joint=False):
    """A round of D on the images x and, G being the identity, z."""
    x = torch.randn(5, *SHAPE) if x is None else x
    z = torch.randn(5, *SHAPE) if z is None else z
    return Round({"G": nn.Identity(), "D": D}, z, lambda: (x.clone(), None), (), joint)


class Linear(nn.Module):
    """D(x) = w.x + b, whose gradient is w."""

    def __init__(self, w):
        super().__init__()
        self.w, self.b = nn.Parameter(w), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return x.flatten(1) @ self.w + self.b


class Quadratic(nn.Module):
    """D(x) = a |x|^2 / 2, whose gradient is a x."""

    def __init__(self, a=1.0):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x):
        return self.a * x.flatten(1).square().sum(1) / 2


def smooth():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0))


def maxout():
    return nn.Sequential(nn.Flatten(), Maxout(12, 4, 3, 0.5), Maxout(4, 4, 3, 0.5), Logit(4, 0.5))


def squares(x):
    return x.flatten(1).square().sum(1)


@pytest.mark.parametrize("joint", [False, True])
def test_closed_forms_for_a_linear_D(joint):
    w = torch.randn(12)
    r = round_of(Linear(w), joint=joint)
    half = torch.full((5,), w.square().sum().item() / 2)
    # float64 roundings; the 1e-12 under wgan_gp's root shifts it by that much
    torch.testing.assert_close(r1(r), half, rtol=1e-13, atol=0)
    torch.testing.assert_close(r2(r), half, rtol=1e-13, atol=0)
    torch.testing.assert_close(wgan_gp(r), ((2 * half).sqrt() - 1) ** 2, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("joint", [False, True])
def test_r1_looks_at_real_images_and_r2_at_samples(joint):
    r = round_of(Quadratic(), joint=joint)
    torch.testing.assert_close(r1(r), squares(r.x) / 2, rtol=1e-13, atol=0)  # float64 roundings
    torch.testing.assert_close(r2(r), squares(r.z) / 2, rtol=1e-13, atol=0)


@pytest.mark.parametrize("penalty", [r1, r2, wgan_gp])
def test_penalties_give_one_value_for_each_image_and_vanish_or_not_with_the_slope(penalty):
    flat = penalty(round_of(Linear(torch.zeros(12))))
    assert flat.shape == (5,)
    # at slope 0 only wgan_gp objects: (0 - 1)^2, up to the root of its 1e-12
    expected = torch.full((5,), 1.0 if penalty is wgan_gp else 0.0)
    torch.testing.assert_close(flat, expected, rtol=3e-6, atol=0)


def test_wgan_gp_is_zero_at_slope_one_and_finite_at_slope_zero():
    w = torch.randn(12)
    assert wgan_gp(round_of(Linear(w / w.norm()))).max() < 1e-20  # the square of 1e-12's shift
    D = Linear(torch.zeros(12))
    (gradient,) = torch.autograd.grad(wgan_gp(round_of(D)).sum(), D.w)
    assert gradient.isfinite().all()


def test_wgan_gp_points_are_uniform_between_real_and_fake():
    count = 2000
    x, z = torch.full((count, 1, 1, 1), 3.0), torch.full((count, 1, 1, 1), 1.0)
    norm = 1 + wgan_gp(round_of(Quadratic(), x, z)).sqrt()  # |x_hat|, which is above 1 here
    assert kstest(norm.detach().numpy(), "uniform", args=(1, 2)).pvalue > 0.01


def test_wgan_gp_draws_one_point_for_each_image_not_for_each_pixel():
    count = 500
    x = torch.tensor([3.0, 0.0]).repeat(count, 1).view(count, 2, 1, 1)
    norm = 1 + wgan_gp(round_of(Quadratic(), x, x.flip(1))).sqrt()
    # the line from (3, 0) to (0, 3) comes no closer to 0 than 3 / sqrt 2; the square goes to 0
    assert norm.min() >= 3 / math.sqrt(2) - 1e-9  # the 1e-12 under the root
    assert norm.unique().numel() == count


@pytest.mark.parametrize("build", [smooth, maxout])
@pytest.mark.parametrize(("penalty", "letter"), [(r1, "x"), (r2, "z")])
def test_r1_and_r2_agree_with_central_differences(build, penalty, letter):
    D = build()
    r = round_of(D)
    at, h = getattr(r, letter).detach(), 1e-5
    steps = h * torch.eye(12).view(12, *SHAPE)
    slopes = torch.stack([(D(at + step) - D(at - step)) / (2 * h) for step in steps], 1)
    # differences err by h^2 = 1e-10 (third derivatives) + 1e-16 / h = 1e-11 (rounding)
    torch.testing.assert_close(penalty(r), squares(slopes) / 2, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("penalty", [r1, r2, wgan_gp])
@pytest.mark.parametrize("build", [smooth, maxout, lambda: Linear(torch.randn(12)), Quadratic])
def test_gradients_with_respect_to_the_weights_agree_with_finite_differences(build, penalty):
    D = build()
    names = [name for name, _ in D.named_parameters()]
    x, z = torch.randn(2, 3, *SHAPE)

    def of_theta(*theta):
        torch.manual_seed(1)  # wgan_gp's points must not move between the evaluations
        weights = dict(zip(names, theta, strict=True))
        return penalty(round_of(lambda x: functional_call(D, weights, (x,)), x, z))

    assert gradcheck(of_theta, tuple(p.detach().requires_grad_() for p in D.parameters()))


def test_gradients_with_respect_to_the_weights_have_their_closed_forms():
    w = torch.randn(12)
    D = Linear(w)
    (gradient,) = torch.autograd.grad(r1(round_of(D)).mean(), D.w)
    torch.testing.assert_close(gradient, w, rtol=1e-13, atol=0)  # d (|w|^2 / 2) / dw
    D = Quadratic(1.7)
    r = round_of(D)
    (gradient,) = torch.autograd.grad(r1(r).mean(), D.a)  # d (a^2 |x|^2 / 2) / da = a |x|^2
    torch.testing.assert_close(gradient, 1.7 * squares(r.x).mean(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("penalty", [r1, r2, wgan_gp])
def test_a_joint_pass_gives_the_same_penalty(penalty):
    D = smooth()
    x, z = torch.randn(2, 5, *SHAPE)
    values = []
    for joint in (False, True):
        torch.manual_seed(1)  # the same points for wgan_gp
        values.append(penalty(round_of(D, x, z, joint)))
    torch.testing.assert_close(*values, rtol=1e-13, atol=1e-15)  # sums in another order


# Consensus optimisation


def consensus_game(turns):
    torch.manual_seed(1)
    G = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 12), nn.Unflatten(1, SHAPE))
    players = {
        name: Player(net, torch.optim.SGD(net.parameters(), lr=0.1))
        for name, net in (("D", smooth()), ("G", G))
    }
    return Game(players, turns, Prior("gaussian", 3), 5)


def gradients_of(game):
    """Each player's gradient in round 0, flat."""
    seen = {}

    def observe(r, turn, gradients):
        seen.update({k: torch.cat([g.flatten() for g in v]) for k, v in gradients.items()})
        return {}

    x = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(2))
    game.play(lambda stream, i: (x, None), seed=0, step=0, observe=observe)
    return seen


def test_consensus_adds_the_gradient_of_the_squared_field():
    D, G = {minimax_d: 1.0}, {nonsaturating_g: 1.0}
    term, h = consensus(minimax_d, nonsaturating_g), 1e-5
    plain = gradients_of(consensus_game(simultaneous(D, G)))
    added = gradients_of(consensus_game(simultaneous(D | {term: 0.7}, G | {term: 0.7})))
    for name in ("D", "G"):
        exact, some = [], slice(None, None, 9)
        for i in range(len(plain[name]))[some]:
            halves = []
            for side in (h, -h):
                game = consensus_game(simultaneous(D, G))
                flat = nn.utils.parameters_to_vector(game.nets[name].parameters()).detach()
                flat[i] += side
                nn.utils.vector_to_parameters(flat, game.nets[name].parameters())
                v = gradients_of(game)
                halves.append(sum(g.square().sum() for g in v.values()) / 2)
            exact.append((halves[0] - halves[1]) / (2 * h))
        # central differences: h^2 = 1e-10 of third derivatives, roundings of 1e-16 / h
        torch.testing.assert_close(
            (added[name] - plain[name])[some], 0.7 * torch.stack(exact), rtol=1e-6, atol=1e-8
        )


def test_consensus_fails_in_a_turn_without_G():
    game = consensus_game([Turn({"D": {consensus(minimax_d, nonsaturating_g): 1.0}})])
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        gradients_of(game)


@pytest.mark.parametrize("penalty", [r1, r2])
def test_a_d_that_counts_what_it_sees_is_held_flat_too(penalty):
    D = nn.Sequential(nn.Conv2d(2, 4, 2), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
    D = nn.Sequential(D, nn.Linear(8, 1), nn.Flatten(0))
    r = round_of(D)
    alone = penalty(r)  # no term has asked for the logits before
    assert D[0][1].num_batches_tracked == 1
    x = (r.x if penalty is r1 else r.Gz).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x)
    expected = gradient.flatten(1).square().sum(1) / 2
    # float64: the same sums
    torch.testing.assert_close(alone, expected, rtol=1e-10, atol=1e-12)


# Finite differences in the place of gradients


def pass_of(penalties, D, x, z=None, joint=False, seed=3):
    """The values of some penalties in a round of their own, all that is drawn being the same."""
    torch.manual_seed(seed)
    r = round_of(D, x, x if z is None else z, joint)
    return [penalty(r) for penalty in penalties]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("build", [smooth, maxout])
def test_differences_are_the_exact_penalties_in_the_mean(build, joint):
    D, count = build(), 20_000
    x, z = (torch.randn(1, *SHAPE).expand(count, *SHAPE).contiguous() for _ in range(2))
    exact = [penalty(round_of(D, x[:1], z[:1])).item() for penalty in (r1, r2)]
    for values, expected in zip(pass_of(differences(1e-4), D, x, z, joint), exact, strict=True):
        assert values.shape == (count,)
        error = values.std().item() / math.sqrt(count)
        # five standard errors; epsilon^2 = 1e-8 of third derivatives is far below
        assert values.mean().item() == pytest.approx(expected, abs=5 * error)
        # (n.g)^2 / 2 with g the gradient: chi-squared of one degree, whose deviation is sqrt 2 its
        # mean; of so many, to 5 sqrt(14 / 4 / count) of itself
        assert values.std().item() == pytest.approx(math.sqrt(2) * expected, rel=0.07)


def test_differences_of_a_quadratic_D_exceed_the_exact_penalty_by_their_second_order():
    epsilon, count = 0.5, 100_000
    x = torch.ones(1, *SHAPE).expand(count, *SHAPE)
    values, _ = pass_of(differences(epsilon), Quadratic(1.7), x)
    # D(x + e n) - D(x) = a (e n.x + e^2 |n|^2 / 2), and E |n|^4 = d (d + 2)
    expected = 1.7**2 / 2 * (12 + epsilon**2 * 12 * 14 / 4)
    error = values.std().item() / math.sqrt(count)
    assert values.mean().item() == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_differences_of_a_linear_D_are_those_of_any_epsilon(joint, order):
    D, x, z = Linear(torch.randn(12)), *torch.randn(2, 5, *SHAPE)
    near, far = (
        pass_of([differences(epsilon)[i] for i in order], D, x, z, joint)
        for epsilon in (1e-3, 10.0)
    )
    # logits of 1, with roundings of 1e-16, over 1e-3: 1e-12 of the difference after cancellation
    torch.testing.assert_close(near, far, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("joint", [False, True])
def test_what_D_draws_is_the_same_at_both_ends_of_a_difference(joint):
    class Masked(Linear):
        def forward(self, x):
            return super().forward(x * torch.rand_like(x).round())

    x = torch.randn(5, *SHAPE)
    D = Masked(torch.randn(12))
    near, far = (pass_of(differences(e), D, x, joint=joint) for e in (1e-3, 10.0))
    torch.testing.assert_close(near, far, rtol=1e-10, atol=1e-11)  # as above
    assert not torch.equal(*near)  # images and samples have draws of their own


@pytest.mark.parametrize("i", [0, 1])
def test_what_is_drawn_after_a_difference_is_new(i):
    w, x = torch.randn(12), torch.randn(5, *SHAPE)
    (found,) = pass_of(differences()[i : i + 1], Linear(w), x)
    n = torch.randn(5, *SHAPE)
    assert not torch.allclose(found, (n.flatten(1) @ w).square() / 2)


def test_patches_of_an_image_count_together():
    net = nn.Conv2d(2, 1, 2)
    x = torch.randn(5, *SHAPE)
    patches, whole = (
        pass_of([r1, *differences()], D, x)
        for D in (lambda x: net(x).squeeze(1), lambda x: net(x).flatten(1).sum(1))
    )
    torch.testing.assert_close(patches, whole, rtol=1e-9, atol=1e-11)  # sums in another order


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("build", [smooth, lambda: Linear(torch.randn(12)), Quadratic])
def test_gradients_of_differences_agree_with_finite_differences_by_the_weights(build, i):
    D = build()
    names = [name for name, _ in D.named_parameters()]
    x, z = torch.randn(2, 3, *SHAPE)

    def of_theta(*theta):
        torch.manual_seed(1)
        weights = dict(zip(names, theta, strict=True))
        return differences(0.1)[i](round_of(lambda x: functional_call(D, weights, (x,)), x, z))

    assert gradcheck(of_theta, tuple(p.detach().requires_grad_() for p in D.parameters()))


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_an_epsilon_that_is_none_is_refused(epsilon):
    with pytest.raises(FrenemyError, match=f"epsilon is {epsilon}: give more than 0"):
        differences(epsilon)


# Penalties on a share of the minibatch


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("penalty", [r1, r2])
def test_a_penalty_on_a_share_is_that_of_the_first_examples(penalty, joint):
    D, (x, z) = smooth(), torch.randn(2, 8, *SHAPE)
    for first in (lambda r: None, minimax_d):  # before and after the logits are asked for
        r = round_of(D, x, z, joint)
        first(r)
        found = on_share(penalty, 0.25)(r)
        # float64 roundings: products of fewer rows
        torch.testing.assert_close(found, penalty(round_of(D, x, z))[:2], rtol=1e-12, atol=1e-14)
    assert on_share(penalty, 1.0) is penalty
    assert on_share(penalty, 0.01)(r).shape == (1,)
    assert on_share(penalty, 0.5).__name__ == penalty.__name__


def test_a_penalty_on_a_share_costs_a_pass_of_those_examples_alone():
    rows = []

    class Counting(Quadratic):
        def forward(self, x):
            rows.append(len(x))
            return super().forward(x)

    for terms in ((r1, r2), differences()):
        r = round_of(Counting(), *torch.randn(2, 8, *SHAPE), joint=True)
        rows.clear()
        for term in (minimax_d, *(on_share(term, 0.25) for term in terms)):
            term(r)
        assert rows == [16, 4, *([4] if terms != (r1, r2) else [])]


def test_the_mean_over_shares_is_that_over_all():
    D, (x, z) = smooth(), torch.randn(2, 8, *SHAPE)
    parts = [on_share(r1, 0.25)(round_of(D, x.roll(2 * k, 0), z)).mean() for k in range(4)]
    whole = r1(round_of(D, x, z)).mean()
    torch.testing.assert_close(torch.stack(parts).mean(), whole, rtol=1e-12, atol=0)  # roundings


def test_a_share_of_a_round_knows_its_labels_and_conditions():
    x, y = torch.randn(4, *SHAPE), torch.arange(4)
    nets = {"G": lambda z, c: z, "D": lambda x, c: Quadratic()(x) * c}
    r = Round(nets, torch.randn(4, *SHAPE), lambda: (x, y), (), conditions=lambda x, y: (1.0 * y,))
    seen = []
    on_share(lambda r: seen.append((r.y, r.Dx)) or r.Dx, 0.5)(r)
    ((labels, logits),) = seen
    assert labels.tolist() == [0, 1]
    torch.testing.assert_close(logits, squares(x[:2]) / 2 * y[:2], rtol=1e-12, atol=0)  # roundings


@pytest.mark.parametrize(("share", "said"), [(0, "more than 0"), (1.5, "1 or less")])
def test_a_share_that_is_none_is_refused(share, said):
    with pytest.raises(FrenemyError, match=f"penalty_share is {share}: give {said}"):
        on_share(r1, share)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["exact", "differences"])
def test_any_penalties_are_played_as_lazily_as_the_exact_ones(name, every):
    penalties = penalties_named(name, 0.5)
    turns = lazily({minimax_d: 1.0}, {nonsaturating_g: 1.0}, 0.7, every, penalties)
    weights = [
        (turn.every, weight)
        for turn in turns
        for term, weight in turn.moves.get("D", {}).items()
        if term in penalties
    ]
    assert weights == [(every, pytest.approx(every * 0.7))] * 2


def test_penalties_of_an_unknown_name_are_refused():
    with pytest.raises(FrenemyError, match=r"no penalty.*exact.*differences|exakt"):
        penalties_named("exakt")


def dcgan():
    D = discriminator((3, 16, 16), 2, normalised=False)
    return D, lambda x: slopes(D, x), torch.randn(4, 3, 16, 16)


def r3gan():
    D = Discriminator((3, 8, 8), [16, 8], 1)
    for p in D.parameters():
        nn.init.normal_(p, std=0.3)
    return D, D.slopes, torch.randn(4, 3, 8, 8)


@pytest.mark.parametrize("build", [dcgan, r3gan])
def test_a_compiler_makes_the_same_of_them(build):
    D, eager, x = build()
    found = []
    for way in (eager, torch.compile(eager, fullgraph=True, backend="aot_eager")):
        logits, slope = way(x)
        penalty = squares(slope).mean() / 2 + logits.mean()
        found.append((logits, slope, *torch.autograd.grad(penalty, [*D.parameters()])))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
