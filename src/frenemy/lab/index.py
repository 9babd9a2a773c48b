"""Where everything in the paper, and in a lecture on it, is shown: by a lesson or another verb.

Goodfellow et al. (2014), Generative Adversarial Nets. In commands, words in capitals stand for
one's own: a run, or a folder of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Something to be shown, and by what.

    Attributes:
        what: a claim, figure, table, theorem, algorithm or topic, in a few words.
        command: that shows it, without "frenemy".
        words: other names by which `frenemy lab WORD` finds it, in small letters.
    """

    what: str
    command: str
    words: tuple[str, ...] = ()

    @property
    def lesson(self) -> str | None:
        """The lesson that the command plays, if it is one."""
        verb, *rest = self.command.split()
        return rest[0] if verb == "lab" and rest else None


PAPER = (
    Entry("Section 1: police and counterfeiters", "lab counterfeiters", ("police", "money")),
    Entry(
        "Section 1: piecewise-linear units, dropout",
        "lab units",
        ("dropout", "maxout", "rectifier", "relu", "sigmoid", "piecewise-linear"),
    ),
    Entry(
        "Section 2: undirected models, partition functions, Markov chains that do not mix",
        "lab boltzmann",
        (
            *("rbm", "gibbs", "contrastive-divergence", "partition", "undirected", "ais"),
            *("markov", "markov-chain", "mixing", "stationary", "temperature", "tempering"),
        ),
    ),
    Entry(
        "Section 3, equation 1: V(D, G), the two-player minimax game",
        "lab nash",
        ("equation1", "equilibrium", "zero-sum", "minimax-game", "deviations"),
    ),
    Entry(
        "Section 3: log(1 − D(G(z))) saturates, −log D(G(z)) does not",
        "lab saturation",
        ("non-saturating", "gradient", "vanishing"),
    ),
    Entry("Section 3: k steps of D to one of G", "lab k-steps", ("k", "inner-loop", "overfitting")),
    Entry(
        "Figure 1, Proposition 2: D follows, p_g moves to p_data, D ends at 1/2",
        "lab figure1",
        ("fig1", "proposition2", "convergence"),
    ),
    Entry(
        "Algorithm 1: the loop, line by line",
        "lab algorithm1",
        ("algorithm", "loop", "sgd", "training"),
    ),
    Entry(
        "Proposition 1, equation 2: the optimal D",
        "lab optimal-discriminator",
        ("proposition1", "equation2", "equation3", "discriminator", "classifier"),
    ),
    Entry(
        "Theorem 1, equations 4 to 6: C(G) = −log 4 + 2 JSD",
        "lab global-optimum",
        ("theorem1", "equation4", "equation5", "equation6", "jensen-shannon", "log4"),
    ),
    Entry(
        "Section 4.1, and after: other divergences than JSD",
        "lab divergences",
        ("kl", "jsd", "wasserstein", "mmd", "f-gan"),
    ),
    Entry(
        "Sections 4.2 and 6: gradient steps of D and G may cycle",
        "lab cycling",
        ("cycles", "saddle", "optimistic", "dirac-gan", "divergence"),
    ),
    Entry("Table 1: all its models, trained and judged alike", "table1 --data MNIST", ("rivals",)),
    Entry(
        "Table 1: what its numbers are worth",
        "lab table1 --table DIR",
        ("parzen", "log-likelihood"),
    ),
    Entry("Table 1: a deep belief network", "train dbn --data MNIST", ("dbn", "deep-belief")),
    Entry(
        "Table 1: a stacked contractive autoencoder",
        "train cae --data MNIST",
        ("cae", "contractive"),
    ),
    Entry("Table 1: a generative stochastic network", "train gsn --data MNIST", ("gsn",)),
    Entry("Table 1, of one run", "judge RUN --metrics parzen"),
    Entry(
        "Section 5, MNIST: the networks that were trained",
        "train mnist2014 --data MNIST",
        ("mnist",),
    ),
    Entry("Figure 2 a: digits", "train mnist2014 --data MNIST", ("figure2", "fig2")),
    Entry(
        "Figure 2 b: faces",
        "train faces2014 --data FACES --size 48 --grey",
        ("figure2", "fig2", "tfd", "faces"),
    ),
    Entry(
        "Figure 2 c: CIFAR-10, fully connected",
        "train cifar2014 --data CIFAR",
        ("figure2", "fig2", "cifar"),
    ),
    Entry(
        "Figure 2 d: CIFAR-10, convolutional",
        "train cifar2014_conv --data CIFAR",
        ("figure2", "fig2", "cifar"),
    ),
    Entry(
        "Figure 2, last column: the nearest training images",
        "neighbours RUN",
        ("figure2", "fig2", "nearest", "memorising"),
    ),
    Entry("Figure 3: between two points of z", "walk RUN", ("figure3", "fig3", "interpolation")),
    Entry(
        "Table 2: chains to sample, one pass of G, no p_g(x)",
        "lab monte-carlo",
        ("table2", "mcmc", "pi", "metropolis", "minibatch", "sampling"),
    ),
    Entry(
        "Section 6: the Helvetica scenario",
        "lab collapse",
        ("helvetica", "mode-collapse", "modes", "diversity"),
    ),
    Entry(
        "Section 7, 1: p(x | c), from folders of classes",
        "train pictures --data FOLDER",
        ("conditional", "classes"),
    ),
    Entry("Section 7, 2: inferring z from x", "invert RUN IMAGE", ("inference", "encoder")),
)
"""In the paper's order."""

LECTURE = (
    Entry(
        "Probability and likelihood: a die, IQ, a coin, N(0, 1); the mean of maximum likelihood",
        "lab likelihood",
        ("probability", "density", "die", "coin", "iq", "mle", "maximum-likelihood", "expectation"),
    ),
    Entry("A density of two features of faces", "lab likelihood --faces FACES", ("features",)),
    Entry("Sampling: π by points, Markov chains, the minibatch", "lab monte-carlo"),
    Entry(
        "Game trees: minimax, alpha-beta",
        "lab game-tree",
        ("tree", "minimax", "alpha-beta", "chess"),
    ),
    Entry(
        "Nash equilibria: zero-sum, non-cooperative, unique or not",
        "lab nash",
        ("non-cooperative", "prisoners-dilemma", "game-theory"),
    ),
    Entry(
        "Autoencoders, VAEs",
        "lab autoencoder-is-not-a-gan",
        ("autoencoder", "vae", "elbo", "latent"),
    ),
    Entry("Explicit density: a VAE", "train vae --data MNIST"),
    Entry("Explicit density, by a Markov chain: an RBM", "train rbm --data MNIST"),
    Entry(
        "Explicit density: mixtures of Gaussians",
        "train gaussians --data MNIST",
        ("gaussians", "gmm"),
    ),
    Entry("Parzen windows as a model: kernel density", "train kde --data MNIST", ("kde",)),
    Entry(
        "What Parzen windows prefer to true images: centroids",
        "train kmeans --data MNIST",
        ("kmeans", "k-means", "centroids"),
    ),
    Entry(
        "A denoising autoencoder, and the chain that samples from it",
        "train denoising --data MNIST",
        ("denoising", "dae"),
    ),
    Entry("What came later: moment matching", "train gmmn --data MNIST", ("gmmn",)),
    Entry("What came later: diffusion", "train diffusion --data MNIST", ("diffusion",)),
    Entry("Is a GAN well while it trains?", "health RUN", ("health", "diagnosis")),
    Entry("Is it any good?", "judge RUN", ("fid", "metrics", "evaluation")),
    Entry("Own pictures", "train pictures --data FOLDER", ("pictures", "own")),
    Entry("Deeper networks: DCGAN", "train dcgan --data FOLDER", ("dcgan",)),
    Entry(
        "Deeper networks, the state of the art: R3GAN",
        "train r3gan --data FOLDER",
        ("r3gan", "stylegan"),
    ),
    Entry(
        "Arithmetic of z: directions and mixtures", "directions RUN", ("directions", "arithmetic")
    ),
)
"""Topics of a lecture's slides."""

INDEX = (*PAPER, *LECTURE)


def find(word: str) -> Sequence[Entry]:
    """The entries that have this name, in any case and with _ for -; none if nobody has.

    >>> [entry.command for entry in find("RBM")]
    ['lab boltzmann']
    >>> find("figure3")[0].command
    'walk RUN'
    """
    word = word.lower().replace("_", "-")
    return [entry for entry in INDEX if word in entry.words]
