"""The deep GSN against a literal loop over its units, Bayes' rule, and enumeration."""

import itertools
import math

import pytest
import torch
from scipy.stats import chi2

from frenemy.engine import Engine
from frenemy.errors import FrenemyError
from frenemy.game import Round
from frenemy.rivals.gsn import GSN, consecutive, walkback_cross_entropy

SHAPE = (1, 2, 2)
DOUBLE = {"rtol": 1e-10, "atol": 1e-12}  # float64, through a handful of products of small matrices


def network(layers=2, units=3, shape=SHAPE, seed=0, **options):
    torch.manual_seed(seed)
    net = GSN(shape, layers, units, **options).double()
    with torch.no_grad():
        for b in net.b:
            b.copy_(torch.randn_like(b))
    return net


def images(count, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, *shape, generator=generator, dtype=torch.float64) - 1


def round_of(net, x, **options):
    return Round({"GSN": net}, torch.zeros(len(x), 1), lambda: (x, None), ("GSN",), **options)


class Literal:
    """One image's chain, unit by unit, by the same draws: those of so many steps at a time."""

    def __init__(self, net, x, at_a_time=1):
        self.net, self.sizes, self.at_a_time = net, [len(b) for b in net.b], at_a_time
        self.drawn = []
        u = torch.rand(x.shape, dtype=torch.float64)
        self.h = [[*map(self.salted, u.flatten().tolist(), x.flatten())]]
        self.h += [[torch.zeros(()).double() for _ in range(n)] for n in self.sizes[1:]]

    def salted(self, u, value):
        """Below salt a coin, whose two sides share that range."""
        if u < self.net.salt / 2:
            return torch.tensor(1.0).double()
        return torch.tensor(0.0).double() if u < self.net.salt else value

    def input(self, i, unit):
        a = self.net.b[i][unit]
        if i > 0:
            for k, value in enumerate(self.h[i - 1]):
                a = a + self.net.W[i - 1][k, unit] * value
        if i < len(self.sizes) - 1:
            for k, value in enumerate(self.h[i + 1]):
                a = a + self.net.W[i][unit, k] * value
        return a

    def layer(self, i):
        """Computes it anew; the logits of layer 0."""
        a = [self.input(i, unit) for unit in range(self.sizes[i])]
        if i == 0:
            u, s = self.u.tolist(), self.net.salt
            self.h[0] = []
            for u_k, a_k in zip(u, a, strict=True):
                p = torch.sigmoid(a_k).item()
                white = u_k < s / 2  # the coin's; the next (1 - salt) of the range is the sample's
                sampled = s / 2 <= u_k < s / 2 + (1 - s) * p
                self.h[0].append(torch.tensor(float(white or sampled)).double())
        elif i == 1:
            self.h[1] = [torch.tanh(a_k) for a_k in a]
        else:
            (n, m), sd = self.noise[i - 2], self.net.noise
            self.h[i] = [torch.tanh(a_k + sd * n[k]) + sd * m[k] for k, a_k in enumerate(a)]
        return torch.stack(a)

    def step(self):
        """The odd layers, then the even ones; the logits."""
        if not self.drawn:
            count, above = self.at_a_time, len(self.sizes) - 2
            u = torch.rand(count, 1, self.sizes[0], dtype=torch.float64)[:, 0]
            noise = torch.randn(count, above, 2, 1, self.sizes[-1], dtype=torch.float64)
            self.drawn = [*zip(u, noise[..., 0, :], strict=True)]
        self.u, self.noise = self.drawn.pop(0)
        logits = None
        for parity in (1, 0):
            for i in range(len(self.sizes)):
                if i % 2 == parity:
                    a = self.layer(i)
                    logits = a if i == 0 else logits
        return logits


LAYERS = pytest.mark.parametrize("layers", [1, 2, 3, 4])


def literal_loss(net, x):
    """-sum over steps of the mean over pixels of x log p + (1 - x) log(1 - p)."""
    pixels = (x + 1) / 2
    chain, total = Literal(net, pixels, net.walkback - 1), 0.0
    for _ in range(net.walkback):
        p = torch.sigmoid(chain.step())
        likelihood = pixels.flatten() * p.log() + (1 - pixels.flatten()) * (1 - p).log()
        total = total - likelihood.mean()
    return total


@LAYERS
def test_the_loss_and_its_gradient_are_those_of_the_literal_loop(layers):
    net, x = network(layers), images(1)
    torch.manual_seed(2)
    loss = walkback_cross_entropy(round_of(net, x))
    torch.manual_seed(2)
    expected = literal_loss(net, x)
    assert loss.shape == (1,)
    torch.testing.assert_close(loss[0], expected, **DOUBLE)
    theta = [*net.parameters()]
    by_autograd = torch.autograd.grad(expected, theta)
    for found, wanted in zip(torch.autograd.grad(loss.mean(), theta), by_autograd, strict=True):
        torch.testing.assert_close(found, wanted, **DOUBLE)
        assert wanted.abs().max() > 1e-6  # every weight and bias has a say


@LAYERS
def test_a_step_of_the_chain_is_the_literal_one(layers):
    net, x = network(layers), (images(1) + 1) / 2
    torch.manual_seed(2)
    h = net.rest(x.flatten(1))
    found = []
    for _ in range(3):
        p, h = net.step(h)
        found.append(p[0].detach())
    torch.manual_seed(2)
    chain = Literal(net, x)
    for p in found:
        torch.testing.assert_close(p, torch.sigmoid(chain.step()).detach(), **DOUBLE)
    for layer, literal in zip(h, chain.h, strict=True):
        torch.testing.assert_close(layer[0].detach(), torch.stack(literal).detach(), **DOUBLE)


def test_images_of_a_minibatch_do_not_meet():
    net, x = network(noise=0.0, salt=0.0), images(5)
    with torch.no_grad():
        for b in net.b:
            b.mul_(100)  # of what is sampled nothing is left to chance
        whole = walkback_cross_entropy(round_of(net, x))
        alone = [walkback_cross_entropy(round_of(net, x[i : i + 1])) for i in range(5)]
    torch.testing.assert_close(whole, torch.cat(alone), **DOUBLE)


def test_weights_are_tied_and_begin_as_published():
    net = GSN((1, 28, 28))
    assert [tuple(W.shape) for W in net.W] == [(784, 1500), (1500, 1500)]
    assert [len(b) for b in net.b] == [784, 1500, 1500]
    assert len([*net.parameters()]) == 5
    assert all((b == 0).all() for b in net.b)
    for W in net.W:
        edge = math.sqrt(6 / sum(W.shape))
        assert 0.999 * edge < W.abs().max() <= edge
        # a uniform variable's sd, whose relative error is sqrt(1/5 N): 5 of these
        assert W.std().item() == pytest.approx(
            edge / math.sqrt(3), rel=5 / math.sqrt(5 * W.numel())
        )


def share(values, expected, count):
    """Within 5 standard errors of a frequency."""
    assert abs(values - expected) < 5 * math.sqrt(max(expected * (1 - expected), 1e-12) / count)


def test_salt_and_pepper_makes_a_share_of_the_pixels_fair_coins():
    net, count = network(), 100_000
    torch.manual_seed(0)
    h = net.rest(torch.full((count, 4), 0.3, dtype=torch.float64))
    assert h[1:] == [None, None]
    for value, expected in ((0.0, 0.2), (1.0, 0.2), (0.3, 0.6)):
        share((h[0] == value).double().mean().item(), expected, 4 * count)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_visibles_are_sampled_and_then_salted(p):
    net, count = network(), 100_000
    torch.manual_seed(0)
    a = torch.full((count, 4), p, dtype=torch.float64).logit()
    h = net.state(0, a, *net.draws(1, a))
    assert set(h.unique().tolist()) == {0.0, 1.0}
    share(h.mean().item(), 0.6 * p + 0.4 / 2, 4 * count)


def test_noise_surrounds_the_tanh_of_the_second_layer_and_above_alone():
    net, count = network(3), 50_000
    torch.manual_seed(0)
    a = torch.full((count, 3), 0.7, dtype=torch.float64)
    (drawn,) = net.draws(1, a)
    assert torch.equal(net.state(1, a, drawn), a.tanh())
    inner = torch.tanh(0.7 + 2 * torch.linspace(-9, 9, 20_001).double())
    weights = torch.exp(-torch.linspace(-9, 9, 20_001).double().square() / 2)
    mean = (inner * weights).sum() / weights.sum()
    variance = ((inner - mean).square() * weights).sum() / weights.sum() + 4
    for i in (2, 3):
        h = net.state(i, a, drawn)
        error = math.sqrt(variance / h.numel())
        assert abs(h.mean() - mean) < 5 * error
        # of a variance, near a Gaussian's: sqrt(2 / N)
        assert h.var().item() == pytest.approx(variance.item(), rel=5 * math.sqrt(2 / h.numel()))


def test_low_precision_has_nearly_the_same_gradient():
    net, x = network(2, 40, (1, 8, 8), noise=0.0).float(), images(50, (1, 8, 8)).float()
    found = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        loss = walkback_cross_entropy(round_of(net, x, engine=Engine(precision)))
        assert loss.dtype == torch.float32
        gradient = torch.autograd.grad(loss.mean(), [*net.parameters()])
        assert {g.dtype for g in gradient} == {torch.float32}
        found.append(torch.cat([g.flatten() for g in gradient]))
    exact, low = found
    # roundings of 2^-9, and some pixels that are drawn otherwise
    assert torch.cosine_similarity(exact, low, dim=0) > 0.99


# What is learned


def patterns(count):
    return torch.tensor([*itertools.product((0.0, 1.0), repeat=count)], dtype=torch.float64)


def trained(p, rounds=300, **options):
    """A network that learned a distribution of all patterns of pixels, (2^n,), by whole batches."""
    n = round(math.log2(len(p)))
    net = network(shape=(1, 1, n), seed=3, **options)
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, rounds)
    for _ in range(rounds):
        x = patterns(n)[torch.multinomial(p, 200, replacement=True)]
        loss = walkback_cross_entropy(round_of(net, net.images(x))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
    return net


def transitions(net):
    """Of the chain of corrupted pixels of one layer, by enumeration: (from, to)."""
    x = patterns(len(net.b[0]))
    p, _ = net.step([x, None])
    p = (1 - net.salt) * p.detach() + net.salt / 2
    return (p[:, None] * x + (1 - p[:, None]) * (1 - x)).prod(-1)


def test_one_layer_learns_bayes_rule_and_its_chain_comes_to_the_data():
    """Of independent pixels the posterior is a product, as p(x | h) is: the theorem is exact."""
    of_each = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    x = patterns(3)
    data = (of_each * x + (1 - of_each) * (1 - x)).prod(1)
    net = trained(data, layers=1, units=20, walkback=1)
    kept = 1 - net.salt / 2  # a pixel's chance of being seen as it is
    p, _ = net.step([x, None])
    seen = torch.where(x == 1, kept * of_each, (1 - kept) * of_each)
    other = torch.where(x == 1, (1 - kept) * (1 - of_each), kept * (1 - of_each))
    # what 300 steps of Adam leave
    torch.testing.assert_close(p.detach(), seen / (seen + other), rtol=0, atol=0.05)

    torch.manual_seed(0)
    h = net.rest(torch.zeros(20_000, 3, dtype=torch.float64))
    with torch.no_grad():
        for _ in range(30):
            p, h = net.step(h)
    assert (p.mean(0) - of_each).abs().max() < 0.03
    T = transitions(net)
    stationary = torch.linalg.matrix_power(T, 1000)[0]
    counts = torch.bincount((h[0] @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8)
    expected = 20_000 * stationary
    assert chi2.sf(((counts - expected).square() / expected).sum().item(), 7) > 1e-3


def test_noise_above_draws_pixels_that_depend_on_each_other():
    """Of two patterns, .3 and .7, independent pixels of these means show one in .12 of draws."""
    data = torch.zeros(64, dtype=torch.float64)
    data[0], data[63] = 0.3, 0.7
    net = trained(data, layers=2, units=30)
    torch.manual_seed(0)
    h = net.rest(torch.full((2000, 6), 0.5, dtype=torch.float64))
    with torch.no_grad():
        for _ in range(30):
            p, h = net.step(h)
    white = (torch.rand_like(p) < p).double().mean(1)
    none, all_of_them = (white == 0).double().mean(), (white == 1).double().mean()
    assert none + all_of_them > 0.4 and all_of_them > none > 0.05


# Chains


def test_consecutive_expectations_are_one_chain():
    net, start = network(), images(1)[0]
    torch.manual_seed(5)
    after = torch.rand(1)
    torch.manual_seed(5)
    found = consecutive(net, start, 6, seed=4)
    assert torch.equal(torch.rand(1), after)
    assert found.shape == (6, *SHAPE) and found.dtype == torch.float64
    torch.manual_seed(4)
    chain = Literal(net, (start + 1) / 2)
    for image in found:
        p = torch.sigmoid(chain.step()).detach()
        torch.testing.assert_close((image.flatten() + 1) / 2, p, **DOUBLE)
    assert torch.equal(consecutive(net, start, 3, seed=4), found[:3])
    assert not torch.equal(consecutive(net, start, 3, seed=5), found[:3])
    with pytest.raises(FrenemyError, match="count is 0"):
        consecutive(net, start, 0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layers": 0}, "layers is 0: give 1 or more"),
        ({"units": 0}, "units is 0"),
        ({"walkback": 0}, "walkback is 0: give 1 or more"),
        ({"walkback": 1}, "walkback is 1: 2 layers need 2 steps or more"),
        ({"layers": 4, "walkback": 2}, "walkback is 2: 4 layers need 3 steps or more"),
        ({"noise": -1.0}, "noise is -1.0: give 0 or more"),
        ({"salt": 1.5}, "salt is 1.5: give 1 or less"),
        ({"salt": math.nan}, "salt is nan"),
    ],
)
def test_what_cannot_be_is_refused(options, match):
    with pytest.raises(FrenemyError, match=match):
        GSN(SHAPE, **options)


@LAYERS
def test_the_fewest_steps_give_every_layer_a_gradient(layers):
    net = network(layers, walkback=layers // 2 + 1)
    loss = walkback_cross_entropy(round_of(net, images(3))).mean()
    assert all(g.abs().max() > 0 for g in torch.autograd.grad(loss, [*net.parameters()]))
