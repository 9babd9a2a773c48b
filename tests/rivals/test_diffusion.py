"""Diffusion against closed forms: the noise's mean and variance, and exact denoisers."""

import itertools
import math

import pytest
import torch
from torch import nn

from frenemy import recipes
from frenemy.data import Facts
from frenemy.errors import FrenemyError
from frenemy.game import Round
from frenemy.recipes import vary
from frenemy.rivals.diffusion import BETAS, Diffusion, T, UNet, predicting_noise

SHAPE = (1, 2, 2)
MEAN, SD = 0.2, 0.1  # of Gaussian data, which hardly leave [-1, 1]


class Exact(nn.Module):
    """E[epsilon | x_t] where x is Gaussian: linear in x_t."""

    def forward(self, x, t):
        a = kept(t)[:, None, None, None]
        variance = a * SD**2 + 1 - a
        return (1 - a).sqrt() * (x - a.sqrt() * MEAN) / variance


class Known(nn.Module):
    """Knows the image, and so epsilon."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def forward(self, x, t):
        a = kept(t)[:, None, None, None]
        return (x - a.sqrt() * self.image) / (1 - a).sqrt()


BY_DEFINITION = [1.0]  # a_t, from t = 0
for s in range(T):
    beta = BETAS[0] + (BETAS[1] - BETAS[0]) * s / (T - 1)
    BY_DEFINITION.append(BY_DEFINITION[-1] * (1 - beta))


def kept(t):
    return torch.tensor(BY_DEFINITION, dtype=torch.float64)[t]


def double(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("t", [1, 300, T])
def test_noise_has_the_mean_and_variance_of_many_small_steps(t):
    G = Diffusion(nn.Identity(), SHAPE, 10).double()
    count = 5000
    x = torch.full((count, *SHAPE), 0.5, dtype=torch.float64)
    found = G.noised(x, torch.full((count,), t), double(count, *SHAPE))
    mean, variance = 0.5, 0.0
    for s in range(t):  # x_t = sqrt(1 - beta) x_(t - 1) + sqrt(beta) noise
        beta = BETAS[0] + (BETAS[1] - BETAS[0]) * s / (T - 1)
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
    n = found.numel()
    assert found.mean().item() == pytest.approx(mean, abs=5 * math.sqrt(variance / n))
    assert found.var().item() == pytest.approx(variance, rel=5 * math.sqrt(2 / n))


def test_at_no_time_there_is_no_noise():
    G = Diffusion(nn.Identity(), SHAPE, 10)
    x, zero = torch.rand(3, *SHAPE), torch.zeros(3, dtype=torch.int64)
    assert torch.equal(G.noised(x, zero, torch.randn(3, *SHAPE)), x)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_who_knows_the_image_draws_it_in_any_number_of_steps(steps):
    image = torch.tensor([[[0.5, -0.5], [1.0, 0.0]]], dtype=torch.float64)
    G = Diffusion(Known(image), SHAPE, steps).double()
    torch.testing.assert_close(
        G(double(3, 4)), image.expand(3, -1, -1, -1), rtol=0, atol=1e-5
    )  # a_t in float32


def ratio(steps):
    """By which the exact denoiser's samples of so many steps are too narrow, in closed form."""
    a = kept(torch.tensor(Diffusion(nn.Identity(), SHAPE, steps).times))
    deviation = torch.ones((), dtype=torch.float64)
    for a_t, a_s in itertools.pairwise(a):
        variance = a_t * SD**2 + 1 - a_t
        foreseen = a_t.sqrt() * SD**2 / variance
        deviation = deviation * (a_s.sqrt() * foreseen + ((1 - a_s) * (1 - a_t)).sqrt() / variance)
    return deviation.item() / SD


@pytest.mark.parametrize("steps, within", [(20, 0.15), (1000, 0.02)])
def test_the_exact_denoiser_draws_the_data(steps, within):
    G = Diffusion(Exact(), SHAPE, steps).double()
    count = 1000
    samples = G(double(count, 4))
    n = samples.numel()
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.005 + 5 * SD / math.sqrt(n))
    # float32 holds a_t to 1e-7, of which sqrt(a_T) is 6e-3
    assert samples.std().item() / SD == pytest.approx(ratio(steps), rel=5 / math.sqrt(2 * n))
    assert ratio(steps) == pytest.approx(1, abs=within)


def test_the_loss_is_the_mean_squared_error_of_what_is_predicted():
    class Half(nn.Module):
        def forward(self, x, t):
            return x / 2

    G = Diffusion(Half(), SHAPE, 10).double()
    x, z = double(5, *SHAPE, seed=1), double(5, 4, seed=2)
    r = Round({"G": G}, z, lambda: (x, None), ("G",))
    torch.manual_seed(0)
    found = predicting_noise(r)
    torch.manual_seed(0)
    t = (T * torch.rand(5)).long() + 1
    a = kept(t)[:, None, None, None]
    epsilon = z.view_as(x)
    errors = (a.sqrt() * x + (1 - a).sqrt() * epsilon) / 2 - epsilon
    torch.testing.assert_close(found, errors.square().mean((1, 2, 3)), rtol=1e-6, atol=0)  # a_t


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24), (4, 32, 32)])
def test_the_network_takes_images_of_many_sizes(shape):
    net = UNet(shape, 4)
    for p in net.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(2, *shape)
    found = net(x, torch.tensor([1, T]))
    assert found.shape == x.shape
    # it is told the time
    assert not torch.equal(found, net(x, torch.tensor([T, 1])))


@pytest.mark.parametrize(
    "shape, wrong, said",
    [
        ((1, 8, 8), {}, "resize the images to 16x16"),
        ((2, 1, 1), {}, "resize the images"),
        ((1, 28, 28), {"sampling_steps": 0}, "sampling_steps is 0"),
        ((1, 28, 28), {"sampling_steps": T + 1}, "sampling_steps is 1001"),
        ((1, 28, 28), {"width": 0}, "width is 0"),
    ],
)
def test_what_it_cannot_take_is_refused(shape, wrong, said):
    with pytest.raises(FrenemyError, match=said):
        vary(recipes.diffusion, **wrong)(Facts(shape, 100))
