"""Mixtures and kernels: densities that are fitted to images, and samples of them.

    p(x) = sum over k of share_k p(x | k)

A component is a Gaussian in the space of some principal components (`Gaussians`), a kernel of one
width on a training image (`Kernels`), or a point, the mean of a cluster (`Centroids`). Nothing of
this is learned by gradients: what is found in the data when a stage begins lies in buffers.
Gaussians and clusters are scikit-learn's.

Each network maps z (B, 1 + n), standard normal, to images: the first number names the component,
the others are what is drawn of it. Neighbouring z may be of different components, so that none of
them is called "G", and walks through z refuse them. Likelihoods are of pixels in [0, 1].

Theis, van den Oord and Bethge (2016), A Note on the Evaluation of Generative Models, judge
centroids as if they were samples.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from frenemy.data import Source
from frenemy.data.source import PLANE
from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.experiment import from_pixels
from frenemy.judge.parzen import GRIDS, log_likelihood
from frenemy.nets.layers import FromUnit, Shape, ToUnit

NUMBERS = 2**27  # of images, at a time: half a GiB in float32
HELD_OUT = 1000  # training images on which the width of kernels is chosen
EM_STEPS, MOST_STEPS = 5, 20  # of expectation maximisation: before it says something, and in all
LEAST_VARIANCE = 1e-3  # of a Gaussian in any direction, in the mean variance of all directions
PASSES, MINIBATCH = 2, 1000  # of k-means through the images, and of these at once at least


class Mixture(nn.Module, ABC):
    """Components with shares; a subclass says how they are found, and what is drawn of one.

    Args:
        shape: of an image, (C, H, W).
        components: K.

    Attributes:
        shares: of the data, (K,).
    """

    shares: Tensor

    def __init__(self, shape: Shape, components: int) -> None:
        super().__init__()
        at_least(1, components=components)
        self.register_buffer("shares", torch.full((components,), 1 / components))
        self._to_unit, self._from_unit = ToUnit(), FromUnit(shape)

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) of z (B, 1 + n)."""
        ends = self.shares.cumsum(0)
        at = torch.special.ndtr(z[:, 0]) * ends[-1]
        k = torch.searchsorted(ends, at).clamp(max=len(ends) - 1)
        return self._from_unit(self.draw(k, z[:, 1:]))

    @abstractmethod
    def begin(self, source: Source) -> Iterator[str]:
        """Finds the components in the data, and says what it does."""

    @abstractmethod
    def draw(self, k: Tensor, z: Tensor) -> Tensor:
        """Vectors (B, d) of pixels in [0, 1], from components k (B,) and what is left of z."""


class Centroids(Mixture):
    """Cluster means by k-means, each with the share of images that is nearest to it.

    Attributes:
        means: (K, d).
    """

    means: Tensor

    def __init__(self, shape: Shape, components: int) -> None:
        super().__init__(shape, components)
        self.register_buffer("means", torch.zeros(components, math.prod(shape)))

    def draw(self, k: Tensor, z: Tensor) -> Tensor:
        return self.means[k]

    def begin(self, source: Source) -> Iterator[str]:
        """Mini-batch k-means, from images drawn at random, a few times through all of them.

        Of each minibatch, every mean is moved towards the images that are nearest to it. Sculley
        (2010), Web-Scale K-Means Clustering.
        """
        from sklearn.cluster import MiniBatchKMeans  # takes a second to import

        K, seed = len(self.shares), _seed()
        fit: Any = MiniBatchKMeans(
            K, init="random", compute_labels=False, random_state=seed,
            reassignment_ratio=0,
        )  # fmt: skip
        size = min(max(K, MINIBATCH), len(source))
        count = math.ceil(PASSES * len(source) / size)
        for i in range(count):
            yield f"k-means: minibatch {i + 1} of {count}"
            fit.partial_fit(_vectors(source.batch(seed, i, size)[0]))
        yield "k-means: the share of each cluster"
        nearest = np.zeros(K)
        for start in range(0, len(source), size):
            x = _vectors(source.images[start : start + size])
            nearest += np.bincount(fit.predict(x), minlength=K)
        self.means.copy_(torch.from_numpy(fit.cluster_centers_))
        self.shares.copy_(torch.from_numpy(nearest / len(source)))


class Kernels(Mixture):
    """The same Gaussian on each of some training images: a kernel density.

    Args:
        shape: of an image, (C, H, W).
        components: images that carry one.
        bandwidth: its standard deviation, in pixels of 0 to 1; 0 for that under which other
            training images are likeliest, from .10 to .29.

    Attributes:
        centres: (K, d), uint8 pixels, or points.
        bandwidth: 0-dimensional.
    """

    centres: Tensor
    bandwidth: Tensor

    def __init__(self, shape: Shape, components: int, bandwidth: float = 0.0) -> None:
        super().__init__(shape, components)
        at_least(0, bandwidth=bandwidth)
        kind = torch.float32 if shape == PLANE else torch.uint8
        self.register_buffer("centres", torch.zeros(components, math.prod(shape), dtype=kind))
        self.register_buffer("bandwidth", torch.tensor(bandwidth))

    def begin(self, source: Source) -> Iterator[str]:
        """Keeps images drawn at random, and chooses the width on others, if it is open."""
        K, seed = len(self.shares), _seed()
        images = source.random(K + HELD_OUT, seed)
        self.centres.copy_(torch.from_numpy(images[:K]).flatten(1))
        if not self.bandwidth:
            yield f"kernel density: its width on {len(images) - K:,} images"
            sigmas = GRIDS["default"]
            others = torch.from_numpy(_vectors(images[K:])).to(self.centres.device)
            means = log_likelihood(real=others, fake=self._pixels(slice(None)), sigmas=sigmas)
            self.bandwidth.fill_(sigmas[int(means.mean(1).argmax())])

    def _pixels(self, which: Tensor | slice) -> Tensor:
        """Of those centres, in [0, 1]."""
        return self._to_unit(from_pixels(self.centres[which]))

    def draw(self, k: Tensor, z: Tensor) -> Tensor:
        return self._pixels(k) + self.bandwidth * z

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Log p(x) of images (B, C, H, W) in [-1, 1], in nats: float64 (B,)."""
        centres, sigmas = self._pixels(slice(None)).to(x), [self.bandwidth.item()]
        return log_likelihood(real=self._to_unit(x), fake=centres, sigmas=sigmas)[0]


class Gaussians(Mixture):
    """Gaussians of any covariance in the space of the first principal components.

        x = mean + W u + noise,    u ~ N(mean_k, F_k F_k^T)

    What other directions hold is noise of one variance, as in probabilistic principal components
    (Tipping and Bishop 1999); samples are drawn without it.

    Args:
        shape: of an image, (C, H, W).
        components: K.
        axes: q, principal components.

    Attributes:
        mean, W: (d,) and (q, d), whose rows are orthonormal.
        means, factors: of u in each component, (K, q), and of its covariance by Cholesky, (K, q,
            q).
        variance: of the noise, 0-dimensional.
    """

    mean: Tensor
    W: Tensor
    means: Tensor
    factors: Tensor
    variance: Tensor

    def __init__(self, shape: Shape, components: int, axes: int) -> None:
        super().__init__(shape, components)
        at_least(1, axes=axes)
        d = math.prod(shape)
        at_most(d, axes=axes)
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("W", torch.eye(axes, d))
        self.register_buffer("means", torch.zeros(components, axes))
        self.register_buffer("factors", torch.eye(axes).repeat(components, 1, 1))
        self.register_buffer("variance", torch.ones(()))

    def begin(self, source: Source) -> Iterator[str]:
        """Principal components, and then expectation maximisation from k-means.

        Of images that do not fit a bounded memory, some are drawn at random.
        """
        from sklearn.decomposition import PCA  # takes a second to import
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        (K, q), seed = self.means.shape, _seed()
        x = _vectors(source.random(max(NUMBERS // len(self.mean), K, q + 1), seed))
        yield f"{q} principal components of {len(x):,} images"
        axes: Any = PCA(q, random_state=seed).fit(x)
        u = axes.transform(x)
        least = LEAST_VARIANCE * float(u.var(0).mean())
        fit: Any = GaussianMixture(
            K, max_iter=EM_STEPS, warm_start=True, random_state=seed, reg_covar=least
        )
        yield f"{K} Gaussians: k-means"
        for steps in range(EM_STEPS, MOST_STEPS + 1, EM_STEPS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                fit.fit(u)
            yield f"{K} Gaussians: {steps} steps, {fit.lower_bound_:.2f} nats"
            if fit.converged_:
                break
        # scikit-learn's is the mean over min(N, d) - q directions, ours over all d - q
        others = max(1, len(self.mean) - q)
        variance = axes.noise_variance_ * (min(x.shape) - q) / others
        found = {
            "shares": fit.weights_, "mean": axes.mean_, "W": axes.components_, "means": fit.means_,
            "factors": np.linalg.cholesky(fit.covariances_), "variance": variance,
        }  # fmt: skip
        for name, value in found.items():
            getattr(self, name).copy_(torch.as_tensor(value))

    def draw(self, k: Tensor, z: Tensor) -> Tensor:
        u = self.means[k] + (self.factors[k] @ z[..., None]).squeeze(2)
        return self.mean + u @ self.W

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Log p(x) of images (B, C, H, W) in [-1, 1], in nats: (B,).

        Raises:
            FrenemyError: the axes leave nothing to the noise, which is 0.
        """
        others = len(self.mean) - self.W.shape[0]
        if others and not self.variance:
            raise FrenemyError("images that differ along the axes alone have no density: fit fewer")
        off = self._to_unit(x) - self.mean
        u = off @ self.W.T  # (B, q)
        gaussians = MultivariateNormal(self.means, scale_tril=self.factors)
        within = (gaussians.log_prob(u[:, None]) + self.shares.log()).logsumexp(1)
        if not others:
            return within
        rest = (off.square().sum(1) - u.square().sum(1)) / self.variance
        return within - (rest + others * (math.tau * self.variance).log()) / 2


def _vectors(images: NDArray[Any]) -> NDArray[np.float32]:
    """Images (N, C, H, W), or points, as vectors of pixels in [0, 1], (N, d)."""
    return ToUnit()(from_pixels(torch.from_numpy(np.array(images)))).numpy()


def _seed() -> int:
    """Of what scikit-learn draws, from torch's generator."""
    return int(torch.randint(2**31, ()))
