"""The lessons, in the order in which they are told."""

from __future__ import annotations

from frenemy.lab.algorithm1 import algorithm1
from frenemy.lab.autoencoder_is_not_a_gan import autoencoder_is_not_a_gan
from frenemy.lab.boltzmann import boltzmann
from frenemy.lab.collapse import collapse
from frenemy.lab.counterfeiters import counterfeiters
from frenemy.lab.cycling import cycling
from frenemy.lab.divergences import divergences
from frenemy.lab.figure1 import figure1
from frenemy.lab.game_tree import game_tree
from frenemy.lab.global_optimum import global_optimum
from frenemy.lab.k_steps import k_steps
from frenemy.lab.lesson import name_of
from frenemy.lab.likelihood import likelihood
from frenemy.lab.monte_carlo import monte_carlo
from frenemy.lab.nash import nash
from frenemy.lab.optimal_discriminator import optimal_discriminator
from frenemy.lab.saturation import saturation
from frenemy.lab.table1 import table1
from frenemy.lab.units import units

LESSONS = {
    name_of(lesson): lesson
    for lesson in (
        counterfeiters,
        figure1,
        algorithm1,
        optimal_discriminator,
        global_optimum,
        game_tree,
        nash,
        cycling,
        saturation,
        collapse,
        k_steps,
        units,
        likelihood,
        monte_carlo,
        boltzmann,
        autoencoder_is_not_a_gan,
        table1,
        divergences,
    )
}
