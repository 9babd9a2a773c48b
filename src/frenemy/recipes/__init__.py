"""Recipes: typed functions named after a row of a paper. Their arguments are the command line."""

from frenemy.experiment import vary
from frenemy.recipes.autoencoders import Codes, Contractive, Noisy, autoencoder, cae, denoising, vae
from frenemy.recipes.boltzmann import Boltzmann, DeepBelief, dbn, rbm
from frenemy.recipes.diffusion import Denoising, diffusion
from frenemy.recipes.gmmn import Moments, gmmn
from frenemy.recipes.gsn import Stochastic, gsn
from frenemy.recipes.mixtures import Clustering, Mixing, Smoothing, gaussians, kde, kmeans
from frenemy.recipes.ours import Ours, digits, mnist
from frenemy.recipes.paper2014 import (
    Arguments2014,
    cifar2014,
    cifar2014_conv,
    digits2014,
    faces2014,
    mnist2014,
)
from frenemy.recipes.pictures import Pictures, pictures
from frenemy.recipes.r3gan import Huang2024, r3gan
from frenemy.recipes.yardsticks import Yardstick, dcgan, sngan, wgan_gp

RECIPES = {
    recipe.__name__: recipe
    for recipe in (
        autoencoder,
        cae,
        cifar2014,
        cifar2014_conv,
        dbn,
        dcgan,
        denoising,
        diffusion,
        digits,
        digits2014,
        faces2014,
        gaussians,
        gmmn,
        gsn,
        kde,
        kmeans,
        mnist,
        mnist2014,
        pictures,
        r3gan,
        rbm,
        sngan,
        vae,
        wgan_gp,
    )
}
"""By their names, which the command line takes."""

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "RECIPES",
    "Arguments2014",
    "Boltzmann",
    "Clustering",
    "Codes",
    "Contractive",
    "DeepBelief",
    "Denoising",
    "Huang2024",
    "Mixing",
    "Moments",
    "Noisy",
    "Ours",
    "Pictures",
    "Smoothing",
    "Stochastic",
    "Yardstick",
    "vary",
    *RECIPES,
]
