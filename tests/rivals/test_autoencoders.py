"""The autoencoder: its one term, its linear case against PCA; and runs of both rivals."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.decomposition import PCA
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

from frenemy.begin import resume, train
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Round, Turn
from frenemy.judging_runs import target_of
from frenemy.model import Model
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.nets.mlp import perceptron
from frenemy.rivals.autoencoders import Autoencoder, Whitened, squared_distance, squared_error
from frenemy.rivals.vae import VAE, negative_elbo
from frenemy.sampling import noise, to_pixels

SHAPE = (1, 3, 2)


def images(count=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64) * 2 - 1


def encoder(outputs):
    return nn.Sequential(ToUnit(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs))


def decoder():
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 6), nn.Sigmoid(), FromUnit(SHAPE))


def autoencoder():
    torch.manual_seed(0)
    return Autoencoder(encoder(2), decoder()).double()


def round_of(net, x):
    return Round({"G": net}, torch.zeros(len(x), 2, dtype=x.dtype), lambda: (x, None), ("G",))


def test_it_samples_by_its_decoder_and_reconstructs_by_both():
    net, x = autoencoder(), images()
    z = torch.randn(4, 2, dtype=torch.float64)
    assert torch.equal(net(z), net.decoder(z))
    assert torch.equal(net.encode(x), net.encoder(x))
    assert torch.equal(net.reconstruct(x), net.decoder(net.encoder(x)))


def test_the_squared_error_is_a_loop_over_pixels_from_0_to_1():
    net, x = autoencoder(), images()
    found = squared_error(round_of(net, x))
    unit = (x + 1) / 2
    with torch.no_grad():
        again = (net.decoder(net.encoder(x)) + 1) / 2
    for i in range(len(x)):
        by_hand = sum((unit[i, 0, a, b] - again[i, 0, a, b]) ** 2 for a in range(3) for b in (0, 1))
        assert found[i].item() == pytest.approx(by_hand.item(), rel=1e-12)  # float64 roundings
    assert found.shape == (5,)


def test_no_linear_autoencoder_beats_pca_and_pca_is_one():
    # Baldi & Hornik (1989), Neural Networks and Principal Component Analysis
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(6, 6)) * 0.2
    u = generator.normal(size=(400, 6)) @ mix + 0.5
    x = torch.from_numpy(u * 2 - 1).view(-1, *SHAPE)
    pca = PCA(2).fit(u)
    best = ((u - pca.inverse_transform(pca.transform(u))) ** 2).sum(1).mean()
    net = Autoencoder(
        nn.Sequential(ToUnit(), nn.Linear(6, 2)), nn.Sequential(nn.Linear(2, 6), FromUnit(SHAPE))
    ).double()
    with torch.no_grad():
        net.encoder[1].weight.copy_(torch.from_numpy(pca.components_))
        net.encoder[1].bias.copy_(torch.from_numpy(-pca.components_ @ pca.mean_))
        net.decoder[0].weight.copy_(torch.from_numpy(pca.components_.T))
        net.decoder[0].bias.copy_(torch.from_numpy(pca.mean_))
        found = squared_error(round_of(net, x)).mean().item()
        assert found == pytest.approx(best, rel=1e-12)  # float64 roundings
        for p in net.parameters():  # a minimum, seen from near and from far
            kept = p.clone()
            for scale in (1e-3, 1e-1):
                p.copy_(kept + scale * torch.randn(p.shape, dtype=torch.float64))
                assert squared_error(round_of(net, x)).mean().item() > best
            p.copy_(kept)


def test_the_scale_of_the_codes_is_arbitrary():
    net, x = autoencoder(), images()
    before = squared_error(round_of(net, x))
    with torch.no_grad():
        net.encoder[3].weight.mul_(100)
        net.encoder[3].bias.mul_(100)
        net.decoder[0].weight.div_(100)
    # float64 roundings
    torch.testing.assert_close(squared_error(round_of(net, x)), before, rtol=1e-12, atol=0)


def test_squared_distance_is_of_pixels_from_0_to_1():
    a, b = images(seed=1), images(seed=2)
    expected = ((a + 1) / 2 - (b + 1) / 2).flatten(1).square().sum(1)
    torch.testing.assert_close(squared_distance(a, b), expected, rtol=1e-12, atol=0)  # roundings


# Both rivals: their gradients, and what `frenemy train`, `sample` and `judge` do with a run


class Loss(nn.Module):
    """A term as a module, whose weights can be given from outside."""

    def __init__(self, net, term):
        super().__init__()
        self.net, self.term = net, term

    def forward(self, x, z):
        return self.term(Round({"G": self.net}, z, lambda: (x, None), ("G",)))


@pytest.mark.parametrize("term", [squared_error, negative_elbo])
def test_gradients_agree_with_finite_differences_and_reach_every_weight(term):
    net, x = autoencoder(), images()
    if term is negative_elbo:
        net = VAE(encoder(4), decoder()).double()
    names, theta = zip(*net.named_parameters(prefix="net"), strict=True)
    z, loss = torch.randn(len(x), 2, dtype=torch.float64), Loss(net, term)
    assert gradcheck(
        lambda *weights: functional_call(loss, dict(zip(names, weights, strict=True)), (x, z)),
        theta,
    )
    gradients = torch.autograd.grad(loss(x, z).sum(), theta)
    assert all(g.abs().max() > 0 for g in gradients)


def alone(net, term):
    """A recipe's stage: one player, who is called G, and one turn."""
    player = Player(net, torch.optim.Adam(net.parameters(), lr=1e-2), averaging=0.9)
    game = Game({"G": player}, [Turn({"G": {term: 1.0}})], Prior("gaussian", 2), minibatch=10)
    return [Stage(game, 1)]


def digits_decoder():
    return nn.Sequential(*perceptron(2, 8, 64), nn.Sigmoid(), FromUnit((1, 8, 8)))


def autoencoder_recipe(facts):
    net = Autoencoder(nn.Sequential(ToUnit(), *perceptron(64, 8, 2)), digits_decoder())
    return alone(net, squared_error)


def vae_recipe(facts):
    net = VAE(nn.Sequential(ToUnit(), *perceptron(64, 8, 4)), digits_decoder())
    return alone(net, negative_elbo)


RECIPES = pytest.mark.parametrize("recipe", [autoencoder_recipe, vae_recipe])


@RECIPES
def test_a_run_is_trained_and_sampled_and_judged_as_a_gans(recipe, tmp_path):
    run = train(recipe, out=tmp_path / "run", steps=110)  # past the first look at its health
    rows = list(run.rows())
    loss = "G/negative_elbo" if recipe is vae_recipe else "G/squared_error"
    assert rows[-1][loss] < rows[0][loss]
    model = Model.load(run.path, recipe=recipe)
    decoder = model.game.players["G"].best.decoder
    with torch.no_grad():
        by_hand = to_pixels(decoder(next(noise(model.game, 7, 3))))
    np.testing.assert_array_equal(model.sample(7, seed=3), by_hand)
    target = target_of(model, 5, seed=0)
    assert target.images.shape == (5, 1, 8, 8)


class Stopped(Exception):
    pass


@RECIPES
def test_a_resumed_run_is_bit_identical_to_one_that_was_not_stopped(recipe, tmp_path):
    def stop(training):
        if training.progress.step == 6:
            training.save()
            raise Stopped

    train(recipe, out=tmp_path / "whole", steps=12)
    with pytest.raises(Stopped):
        train(recipe, out=tmp_path / "parts", steps=12, watcher=stop)
    resume(tmp_path / "parts", recipe=recipe)
    whole, parts = (
        Model.load(tmp_path / name, recipe=recipe).game.players["G"].state()
        for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


# Codes that follow the prior


def whitened(seed=0):
    torch.manual_seed(seed)
    code = nn.Sequential(ToUnit(), nn.Linear(6, 3))
    return Whitened(code, nn.Sequential(nn.Linear(3, 6), FromUnit(SHAPE)), 3).double()


def test_z_is_the_code_less_its_mean_over_its_deviation():
    net, x = whitened(), images(50)
    with torch.no_grad():
        for _ in range(1000):  # .95^1000 is left of what there was before
            net.follow(x)
        code, z = net.encoder(x), net.encode(x)
        cov = torch.cov(code.T, correction=0)
        assert torch.allclose(z.mean(0), torch.zeros(3).double(), atol=1e-9)
        assert torch.allclose(torch.cov(z.T, correction=0), torch.eye(3).double(), atol=1e-9)
        drawn = z @ torch.from_numpy(np.real(sqrtm(cov.numpy()))) + code.mean(0)
        torch.testing.assert_close(net(z), net.decoder(drawn), rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(net(z), net.reconstruct(x), rtol=1e-8, atol=1e-8)


def test_moments_are_moving_means_over_rounds():
    net, parts = whitened(), [images(4, seed=s) for s in range(3)]
    mean, square = torch.zeros(3).double(), torch.eye(3).double()
    with torch.no_grad():
        for x in parts:
            net.follow(x)
            code = net.encoder(x)
            mean = 0.95 * mean + 0.05 * code.mean(0)
            square = 0.95 * square + 0.05 * (code[:, :, None] * code[:, None]).mean(0)
    torch.testing.assert_close(net.mean, mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(net.square, square, rtol=1e-12, atol=1e-15)


def test_codes_that_do_not_differ_give_images_all_the_same():
    net = whitened()
    with torch.no_grad():
        net.encoder[1].weight.zero_()
        for _ in range(1000):
            net.follow(images())
        z = torch.randn(4, 3, dtype=torch.float64)
        assert net(z).isfinite().all() and net.encode(images()).isfinite().all()
