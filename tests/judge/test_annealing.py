"""AIS against linear-Gaussian decoders, quadrature and importance sampling; its kernel alone."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest
from torch import nn
from torch.distributions import MultivariateNormal

from frenemy.errors import FrenemyError
from frenemy.judge import annealing
from frenemy.judge.annealing import (
    Annealing,
    Chains,
    hmc,
    schedule,
)

F64 = torch.empty(0, dtype=torch.float64)


class Linear:
    """W z + b, of which log p(x) is known."""

    def __init__(self, size_of_z, pixels, spread=0.3):
        generator = torch.Generator().manual_seed(7)
        W = torch.randn(pixels, size_of_z, generator=generator, dtype=torch.float64)
        self.W = W * spread / math.sqrt(size_of_z)
        self.b = torch.rand(pixels, generator=generator, dtype=torch.float64)

    def __call__(self, z):
        return z @ self.W.T.to(z.dtype) + self.b.to(z.dtype)

    def log_p(self, x, variance):
        covariance = self.W @ self.W.T + variance * torch.eye(len(self.b), dtype=torch.float64)
        return MultivariateNormal(self.b, covariance).log_prob(x.double())


def tanh_net(size_of_z=3, pixels=6, dtype=torch.float64):
    """A small nonlinear decoder with images of two by three."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Linear(size_of_z, 8), nn.Tanh(), nn.Linear(8, pixels), nn.Sigmoid()
        return nn.Sequential(*layers, nn.Unflatten(1, (2, 3))).to(dtype)


def by_quadrature(curve, x, variance):
    """Log p(x) of a decoder of one-dimensional z, a function of floats."""

    def density(z):
        miss = sum((a - b) ** 2 for a, b in zip(x, curve(z), strict=True))
        scale = (2 * math.pi * variance) ** (-len(x) / 2) / math.sqrt(2 * math.pi)
        return scale * math.exp(-miss / (2 * variance) - z * z / 2)

    return math.log(quad(density, -8, 8, limit=500, points=[-1, 0, 1])[0])


def standard_error(values):
    return values.std().item() / math.sqrt(len(values))


# Values


def test_on_a_linear_decoder_the_bounds_bracket_the_exact_likelihood_within_a_twentieth():
    decoder, variance = Linear(10, 50), 0.1
    x, z = Annealing(decoder, size_of_z=10, variance=variance, seed=1).simulate(16)
    exact = decoder.log_p(x, variance)
    work = {"variance": variance, "chains": 64, "temperatures": 250}
    model = Annealing(decoder, size_of_z=10, **work)
    lower, upper = model.lower(x), model.upper(x, z)
    assert lower.dtype == torch.float64
    below, above = (lower - exact), (upper - exact)
    # an image's bounds are good to .1 nat, their means to .025: as those of 16 chains and 1,000
    # temperatures (benchmarks/ais.py), in half the time
    assert abs(below.mean()) < 0.05
    assert abs(above.mean()) < 0.05
    assert below.mean() < 4 * standard_error(below)
    assert above.mean() > -4 * standard_error(above)


def test_few_temperatures_leave_a_wide_gap_around_the_exact_likelihood():
    decoder, variance = Linear(10, 50), 0.02
    x, z = Annealing(decoder, size_of_z=10, variance=variance).simulate(60)
    exact = decoder.log_p(x, variance)
    gaps = []
    for temperatures in (5, 20, 80):
        model = Annealing(decoder, 10, variance, temperatures=temperatures)
        lower, upper = model.lower(x), model.upper(x, z)
        assert (lower - exact).mean() < -2 * standard_error(lower - exact)
        assert (upper - exact).mean() > 2 * standard_error(upper - exact)
        gaps.append((upper - lower).mean().item())
    assert gaps[0] > gaps[1] > gaps[2]


@pytest.mark.parametrize(
    ("curve", "decoder"),
    [
        (lambda z: [z * z / 2], lambda z: z.square() / 2),  # two modes of z for each x
        (lambda z: [math.tanh(3 * z), 0.3 * z], lambda z: torch.cat([(3 * z).tanh(), 0.3 * z], 1)),
    ],
    ids=["square", "tanh"],
)
def test_on_decoders_of_one_dimension_it_is_quadrature(curve, decoder):
    x = torch.tensor([[0.7, 0.4], [-0.2, 0.1], [0.9, -0.5]], dtype=torch.float64)
    x = x[:, : len(curve(0.0))]
    expected = [by_quadrature(curve, row, 0.05) for row in x.tolist()]
    found = Annealing(decoder, size_of_z=1, variance=0.05, chains=200, temperatures=200).lower(x)
    # 200 chains: log weights differ by .3 or so, .02 in the mean
    assert found.tolist() == pytest.approx(expected, abs=0.08)


def test_weights_are_unbiased_in_spite_of_the_adaptation():
    decoder, variance, count = Linear(1, 2, spread=0.4), 0.05, 3000
    x = torch.tensor([[0.9, 0.3]], dtype=torch.float64).expand(count, 2)
    bounds = Annealing(decoder, size_of_z=1, variance=variance, chains=4, temperatures=12).lower(x)
    ratio = (bounds - decoder.log_p(x, variance)).exp()  # mean of w / p(x): 1
    assert ratio.std() > 0.1  # or there would be nothing to see
    assert abs(ratio.mean() - 1) < 4 * standard_error(ratio)


def test_two_temperatures_are_importance_sampling_from_the_prior():
    decoder, variance = Linear(2, 3), 0.5
    x = Annealing(decoder, size_of_z=2, variance=variance).simulate(1, like=F64)[0]
    found = Annealing(decoder, 2, variance, chains=100_000, temperatures=2).lower(x)
    # weights deviate by no more than their mean: 1 / sqrt(100,000) = .003
    assert found.item() == pytest.approx(decoder.log_p(x, variance).item(), abs=0.012)


def test_a_decoder_that_ignores_z_is_one_gaussian():
    x = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    found = Annealing(lambda z: 0 * z + 0.5, 2, 0.25, chains=2, temperatures=9).lower(x)
    squares = (x - 0.5).square().sum(1)
    expected = -squares / 0.5 - math.log(2 * math.pi * 0.25)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)  # float32


def test_a_model_that_fits_is_likelier_than_one_that_does_not():
    decoder = Linear(4, 20)
    x = Annealing(decoder, size_of_z=4, variance=0.05).simulate(10)[0]

    def score(by, variance=0.05):
        return Annealing(by, size_of_z=4, variance=variance, temperatures=100).lower(x).mean()

    best = score(decoder)
    assert score(lambda z: decoder(z) + 0.5) < best - 5
    assert score(lambda z: decoder(0 * z)) < best - 5  # collapsed
    assert score(decoder, 0.01) < best - 5
    assert score(decoder, 0.5) < best - 5


# The parts


def test_the_schedule_is_the_logistic_function_between_minus_four_and_four():
    betas = np.array(schedule(1001))
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(betas + betas[::-1], 1, atol=1e-12)  # rounding
    low, high, quarter = (1 / (1 + math.exp(-s)) for s in (-4, 4, -2))
    assert betas[250] == pytest.approx((quarter - low) / (high - low), rel=1e-12)


@pytest.mark.parametrize("pieces", [1, 30, annealing.ENTRIES])
def test_the_likelihood_and_its_gradient_are_right_in_pieces_of_any_size(pieces, monkeypatch):
    monkeypatch.setattr(annealing, "ENTRIES", pieces)
    decoder, variance = tanh_net(), 0.1
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, 2, 3, generator=generator, dtype=torch.float64)
    z = torch.randn(5, 4, 3, generator=generator, dtype=torch.float64)
    likelihood = Annealing(decoder, 3, variance).likelihood(x)
    log_p, gradient = likelihood(z)
    for n, c in itertools.product(range(5), range(4)):
        normal = torch.distributions.Normal(decoder(z[n, c][None])[0], math.sqrt(variance))
        expected = normal.log_prob(x[n]).sum()
        assert log_p[n, c].item() == pytest.approx(expected.item(), rel=1e-12)  # rounding
    for axis in range(3):
        h = 1e-6 * torch.eye(3, dtype=torch.float64)[axis]
        slope = (likelihood(z + h)[0] - likelihood(z - h)[0]) / 2e-6
        # central differences: h^2 of truncation, 1e-15 / h of rounding
        torch.testing.assert_close(gradient[..., axis], slope, rtol=1e-6, atol=1e-7)


PRECISION = torch.tensor([2.0, 30.0], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)


def gaussian(z):
    """A likelihood N(MEAN, 1 / PRECISION) of z, but for its constant."""
    return -(PRECISION * (z - MEAN).square()).sum(-1) / 2, PRECISION * (MEAN - z)


def transitions(z, beta, times, step, seed=0):
    """Chains after so many, and the mean probability of acceptance."""
    generator = torch.Generator().manual_seed(seed)
    chains, total = Chains(z, *gaussian(z)), 0.0
    for _ in range(times):
        noise = torch.randn(*z.shape[:2], z.shape[2] + 2, generator=generator, dtype=torch.float64)
        chains, probability = hmc(gaussian, chains, beta, torch.tensor(step), noise)
        total += probability.mean().item() / times
    return chains, total


def posterior(beta):
    """Mean and standard deviation of N(0, I) gaussian^beta."""
    precision = 1 + beta * PRECISION
    return beta * PRECISION * MEAN / precision, precision.rsqrt()


@pytest.mark.parametrize(("beta", "step"), [(0.0, 0.5), (0.1, 0.4), (1.0, 0.2), (1.0, 0.3)])
def test_hmc_leaves_its_target_as_it_is(beta, step):
    mean, sd = posterior(beta)
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(20, 200, 2, generator=generator, dtype=torch.float64) * sd + mean
    chains, acceptance = transitions(start, beta, 5, step)
    if beta == 1.0:
        assert acceptance < 0.99  # so that what is refused matters too
    for axis in range(2):
        found = ((chains.z[..., axis] - mean[axis]) / sd[axis]).flatten().numpy()
        assert kstest(found, "norm").pvalue > 1e-3
    expected = gaussian(chains.z)
    assert torch.equal(chains.log_p, expected[0])
    assert torch.equal(chains.gradient, expected[1])


def test_hmc_finds_its_target_from_afar():
    mean, sd = posterior(1.0)
    start = torch.full((20, 200, 2), 5.0, dtype=torch.float64)
    chains, _ = transitions(start, 1.0, 40, 0.2)
    for axis in range(2):
        found = ((chains.z[..., axis] - mean[axis]) / sd[axis]).flatten().numpy()
        assert kstest(found, "norm").pvalue > 1e-3


def test_small_steps_are_accepted_and_huge_ones_are_refused():
    start = torch.zeros(10, 20, 2, dtype=torch.float64)
    # the energy's error goes as step^2
    assert 1 - transitions(start, 1.0, 3, 0.01)[1] < 0.02 * (1 - transitions(start, 1.0, 3, 0.1)[1])
    chains, acceptance = transitions(start, 1.0, 3, 1e40)  # overflows: the energy is NaN
    assert acceptance == 0
    assert torch.equal(chains.z, start)


def test_the_step_adapts_to_the_wanted_acceptance(monkeypatch):
    seen = []

    def spy(*arguments):
        chains, probability = hmc(*arguments)
        seen.append((arguments[3].flatten()[0].item(), probability.mean().item()))
        return chains, probability

    monkeypatch.setattr(annealing, "hmc", spy)
    decoder = Linear(10, 50)
    x, z = Annealing(decoder, size_of_z=10, variance=0.01).simulate(1)
    Annealing(decoder, size_of_z=10, variance=0.01, chains=50, temperatures=600).upper(x, z)
    steps, acceptances = map(np.array, zip(*seen, strict=True))
    assert len(steps) == 598  # none at beta = 1, where the weights are not yet, nor at 0
    factors = (steps[1:] / steps[:-1])[:300]  # later they come to the upper limit, .5
    assert steps.max() == 0.5
    assert np.minimum(abs(factors - 1.02), abs(factors - 0.98)).max() < 1e-5  # float32
    assert abs(acceptances[100:400].mean() - 0.65) < 0.05


# What must not matter


def bounds(count=5, *, net=None, **changes):
    net = net or tanh_net()
    x = Annealing(net, size_of_z=3, variance=0.1).simulate(5, like=F64)[0][:count]
    arguments = {"size_of_z": 3, "variance": 0.1, "chains": 4, "temperatures": 40, **changes}
    return Annealing(net, **arguments).lower(x)


def test_how_many_pixels_are_decoded_at_once_does_not_matter(monkeypatch):
    expected = bounds()
    for entries in (1, 50):
        monkeypatch.setattr(annealing, "ENTRIES", entries)
        # float64 products in pieces of other sizes are summed in another order
        torch.testing.assert_close(bounds(), expected, rtol=1e-9, atol=1e-9)


def test_the_other_images_do_not_matter():
    torch.testing.assert_close(bounds(3), bounds()[:3], rtol=1e-9, atol=1e-9)  # as above


def test_the_seed_decides_and_nothing_else_does():
    before = torch.get_rng_state()
    expected = bounds(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(bounds(seed=3), expected)
    assert not torch.equal(bounds(seed=4), expected)


def test_forward_chains_do_not_start_where_the_images_were_made():
    decoder = Linear(2, 3)
    x, z = Annealing(decoder, size_of_z=2, variance=0.1, seed=5).simulate(3)
    starts = []

    def spy(z):
        starts.append(z)
        return decoder(z)

    Annealing(spy, size_of_z=2, variance=0.1, chains=8, temperatures=2, seed=5).lower(x)
    distances = (starts[-1].detach().view(3, 8, 2) - z[:, None]).norm(dim=-1)
    assert distances.min() > 1e-3


def test_switched_off_gradients_and_trainable_weights_do_not_matter():
    net = tanh_net()
    expected = bounds(net=net)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(bounds(net=net), expected)
    assert all(parameter.grad is None for parameter in net.parameters())


# Bad input

X = torch.rand(3, 4)


def fit(z):
    return z.repeat(1, 2)


def refused(decoder=fit, x=X, **changes):
    """The message."""
    arguments = {"size_of_z": 2, "variance": 0.1, "chains": 2, "temperatures": 4, **changes}
    with pytest.raises(FrenemyError) as error:
        Annealing(decoder, **arguments).lower(x)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("variance", [0.0, -1.0, math.nan, math.inf])
def test_a_variance_that_is_none_is_refused(variance):
    assert "variance" in refused(variance=variance)
    with pytest.raises(FrenemyError, match=r"^ais: variance"):
        Annealing(fit, size_of_z=2, variance=variance).simulate(3)


@pytest.mark.parametrize(
    "changes", [{"chains": 0}, {"temperatures": 1}, {"size_of_z": 0}, {"seed": -1}]
)
def test_sizes_out_of_range_are_refused(changes):
    (name,) = changes
    assert refused(**changes).startswith(f"{name} is")


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (X[:0], "0 in images"),
        (torch.full((2, 4), math.nan), "not finite"),
        (torch.zeros(2, 4, dtype=torch.uint8), "dequantised"),
        (X[:, :3], r"(3,) but the decoder's of (4,)"),
        (X.view(3, 2, 2), "(2, 2)"),
    ],
    ids=["none", "nan", "bytes", "other pixels", "other shape"],
)
def test_images_that_do_not_fit_are_refused(x, said):
    assert said in refused(x=x)


def test_a_decoder_without_gradient_is_refused():
    assert "no gradient" in refused(torch.no_grad()(fit))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_decoder_whose_output_is_not_finite_is_refused(value):
    assert "not finite" in refused(lambda z: fit(z) + value)
    assert "not finite" in refused(lambda z: fit(z).where(z[:, :1] < 1.5, value), chains=200)


def test_a_decoder_in_training_mode_is_refused():
    norm = nn.BatchNorm1d(4)
    assert "evaluation mode" in refused(lambda z: norm(fit(z)))
    assert "evaluation mode" in refused(lambda z: nn.functional.dropout(fit(z)))
    norm.eval()
    Annealing(lambda z: norm(fit(z)), size_of_z=2, variance=0.1, temperatures=4).lower(X)


def test_the_z_of_an_upper_bound_have_to_be_those_of_its_images():
    with pytest.raises(FrenemyError, match=r"^ais: 3 images but z of \(2, 2\)"):
        Annealing(fit, 2, variance=0.1, temperatures=4).upper(X, torch.zeros(2, 2))
