"""Augmentation: identities, group laws, distributions of the draws, colours, derivatives, p."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch.autograd import gradcheck, gradgradcheck

from frenemy.errors import FrenemyError
from frenemy.nets.augment import GEOMETRY_AND_COLOUR, R3GAN, Augment, DiffAugment, Policy
from frenemy.nets.warps import warp

COUNT = 4000  # draws; their means, shares and deviations are told to 4 standard errors
EVERYTHING = Policy(**dict.fromkeys((f.name for f in dataclasses.fields(Policy)), 1.0))
AUGMENTATIONS = {
    "geometry and colour": lambda p: Augment(GEOMETRY_AND_COLOUR, p),
    "R3GAN": lambda p: Augment(R3GAN, p),
    "everything": lambda p: Augment(EVERYTHING, p),
    "DiffAugment": DiffAugment,
}
SHAPES = [(1, 6, 6), (2, 5, 8), (3, 7, 7), (3, 8, 12), (4, 6, 9), (5, 4, 4), (3, 1, 1), (3, 1, 7)]
augmentations = pytest.mark.parametrize("make", AUGMENTATIONS.values(), ids=AUGMENTATIONS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def images(count, *shape, dtype=torch.float32):
    return torch.rand(count, *shape, dtype=dtype) * 2 - 1


def near(values, mean, deviation):
    """Their mean is within 4 standard errors of `mean`."""
    values = torch.as_tensor(values).double()
    return abs(values.mean().item() - mean) < 4 * deviation / math.sqrt(values.numel())


def uniform(values, low, high):
    return stats.kstest(values.numpy(), stats.uniform(low, high - low).cdf).pvalue > 1e-4


def normal(values, deviation):
    error = deviation / math.sqrt(2 * len(values))
    assert abs(values.std().item() - deviation) < 4 * error
    return stats.kstest(values.numpy(), stats.norm(0, deviation).cdf).pvalue > 1e-4


def changed(T, x):
    return (T(x) != x).flatten(1).any(1)


def same(a, b):
    """Each of images (B, C, H, W) in [-1, 1], warped at most five times: bit by bit where their
    sides are powers of two, else as far as a pixel is taken from 1e-7 of a side beside its place,
    along both sides, where the next pixel may be 2 away."""
    sides = a.shape[2:]
    off = 0.0 if all(math.log2(side).is_integer() for side in sides) else 5 * 2 * 1e-7 * sum(sides)
    return ((a - b).abs() <= off).flatten(1).all(1)


def inverse_map(T, count=COUNT, sides=(64, 64)):
    """A and b of each warp, read off images of their own pixels' columns and rows at the middle."""
    h, w = sides
    rows, columns = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    ramp = torch.stack([columns - w / 2, rows - h / 2])  # linear: interpolation is exact
    out = torch.cat([T(ramp.expand(200, -1, -1, -1)) for _ in range(count // 200)])
    middle = out[:, :, h // 2 - 1 : h // 2 + 1, w // 2 - 1 : w // 2 + 1]
    by_column = (middle[..., 1] - middle[..., 0]).mean(2)
    by_row = (middle[:, :, 1] - middle[:, :, 0]).mean(2)
    return torch.stack([by_column, by_row], 2), middle.mean((2, 3))


# identity


@augmentations
@pytest.mark.parametrize("shape", SHAPES)
def test_at_p_0_and_in_eval_images_come_out_as_they_were(make, shape):
    x = images(8, *shape)
    T = make(0.0)
    assert torch.equal(T(x), x)
    T.set(1.0)
    out = T(x)
    assert out.shape == x.shape and out.isfinite().all()
    assert max(shape[1:]) == 1 or not torch.equal(out, x)
    assert T.eval()(x) is x


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_images_for_which_nothing_is_drawn_come_out_as_they_were(p):
    T = Augment(Policy(scale=1, contrast=1), p)
    share = changed(T, images(COUNT, 3, 8, 8)).float()
    q = 1 - (1 - p) ** 2
    assert near(share, q, math.sqrt(q * (1 - q)))


# geometry


@pytest.mark.parametrize("sides", [(8, 8), (7, 7), (6, 10)])
def test_flips_and_turns_are_permutations_of_pixels(sides):
    x = images(1, 3, *sides)
    turns = {
        k: torch.rot90(x[0], k, (1, 2)) for k in ((0, 1, 2, 3) if sides[0] == sides[1] else (0, 2))
    }
    wanted = [part for turned in turns.values() for part in (turned, turned.flip(2))]
    out = Augment(Policy(x_flip=1, quarter_turn=1), 1.0)(x.expand(COUNT, -1, -1, -1))
    which = torch.stack([same(out, w) for w in wanted], 1)
    assert (which.sum(1) == 1).all()  # each is one of them
    share = 1 / len(wanted)
    for one in which.T:
        assert near(one.float(), share, math.sqrt(share * (1 - share)))


@pytest.mark.parametrize("side", [8, 9])
def test_the_group_laws_hold(side):
    def matrix(*rows):
        return torch.tensor([rows])

    def times(x, A, n):
        apply, _ = warp(A, torch.zeros(1, 2), side, side)
        for _ in range(n):
            x = apply(x)
        return x

    x = images(1, 2, side, side)
    turn, flip = matrix([0.0, -1.0], [1.0, 0.0]), matrix([-1.0, 0.0], [0.0, 1.0])
    assert same(times(x, turn, 4), x) and same(times(x, flip, 2), x)
    assert same(times(x, turn, 1), x.rot90(1, (2, 3)))
    there = times(times(times(x, flip, 1), turn, 1), flip, 1)
    assert same(there, times(x, turn, 3))  # a mirrored turn goes back


@pytest.mark.parametrize(("height", "width"), [(16, 32), (16, 24)])
def test_integer_shifts_are_uniform_and_leave_the_mirror_image_behind(height, width):
    x = images(1, 3, height, width)
    rows, columns = height // 8, width // 8  # .125 of either side
    wider = [(0, 0), (rows, rows), (columns, columns)]
    wider = np.pad(x[0].numpy(), wider, mode="symmetric")
    out = Augment(Policy(integer_shift=1), 1.0)(x.expand(COUNT, -1, -1, -1))
    found = torch.zeros(2 * rows + 1, 2 * columns + 1)
    for i in range(2 * rows + 1):
        for j in range(2 * columns + 1):
            wanted = torch.from_numpy(wider[:, i : i + height, j : j + width])
            found[i, j] = same(out, wanted[None]).sum()
    assert found.sum() == COUNT
    for counts, m in ((found.sum(1), rows), (found.sum(0), columns)):
        shares = torch.full((2 * m + 1,), 1 / (2 * m))
        shares[[0, -1]] /= 2  # what is rounded is uniform up to m
        assert stats.chisquare(counts.numpy(), (shares * COUNT).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("sides", [(12, 12), (7, 13)])
def test_the_warp_is_a_linear_interpolation_of_the_mirrored_image(sides):
    x = images(6, 2, *sides, dtype=torch.float64)
    A = torch.eye(2) + 0.8 * torch.randn(6, 2, 2)
    b = 6 * torch.randn(6, 2)
    apply, transpose = warp(A.double(), b.double(), *sides)
    out = apply(x)
    middle = (np.array(sides) - 1) / 2
    for i in range(6):
        M = A[i].double().numpy()[::-1, ::-1]  # scipy counts (row, column)
        offset = middle - M @ middle + b[i].double().numpy()[::-1]
        for c in range(2):
            image = x[i, c].numpy()
            wanted = ndimage.affine_transform(image, M, offset, order=1, mode="reflect")
            assert out[i, c].numpy() == pytest.approx(wanted, abs=1e-10)
    g = images(6, 2, *sides, dtype=torch.float64)
    assert (g * out).sum().item() == pytest.approx((transpose(g) * x).sum().item(), abs=1e-9)


def test_scales_are_log_normal_and_isotropic():
    A, b = inverse_map(Augment(Policy(scale=1), 1.0))
    assert torch.allclose(A, A[:, :1, :1] * torch.eye(2), atol=1e-4) and b.abs().max() < 1e-4
    assert normal(A[:, 0, 0].log2(), 0.2)


def test_anisotropic_scales_keep_areas():
    A, _ = inverse_map(Augment(Policy(anisotropic_scale=1), 1.0))
    assert A[:, 0, 1].abs().max() < 1e-4 and A[:, 1, 0].abs().max() < 1e-4
    assert torch.allclose(A[:, 0, 0] * A[:, 1, 1], torch.ones(COUNT), atol=1e-4)
    assert normal(A[:, 0, 0].log2(), 0.2)


def test_rotations_are_uniform_and_as_probable_as_p_before_or_after_the_scale():
    p = 0.6
    A, _ = inverse_map(Augment(Policy(rotation=1), p))
    assert torch.allclose(A @ A.mT, torch.eye(2), atol=1e-4)
    angle = torch.atan2(A[:, 1, 0], A[:, 0, 0])
    drawn = angle.abs() > 1e-5
    assert near(drawn.float(), p, math.sqrt(p * (1 - p)))
    assert uniform(angle[drawn], -math.pi, math.pi)


def test_a_stretch_between_two_rotations_lies_in_any_direction():
    A, _ = inverse_map(Augment(Policy(rotation=1, anisotropic_scale=1, scale=1), 1.0))
    assert normal(torch.linalg.det(A).log2() / 2, 0.2)
    U, S, V = torch.linalg.svd(A)
    ratio = (S[:, 0] / S[:, 1]).log2() / 2
    assert stats.kstest(ratio.numpy(), stats.halfnorm(0, 0.2).cdf).pvalue > 1e-4
    for direction in (U[:, :, 0], V[:, 0]):
        angle = torch.atan2(direction[:, 1], direction[:, 0])
        assert uniform(angle.remainder(math.pi), 0, math.pi)


def test_fractional_shifts_are_normal_in_parts_of_either_side():
    A, b = inverse_map(Augment(Policy(fractional_shift=1), 1.0), sides=(64, 96))
    inside = (A - torch.eye(2)).abs().amax((1, 2)) < 1e-4  # beyond 4 deviations it is mirrored
    assert inside.float().mean() > 0.998
    assert normal(b[inside, 0], 96 / 8) and normal(b[inside, 1], 64 / 8)


# colours


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_brightness_and_contrast(channels):
    x = torch.full((COUNT, channels, 1, 1), 0.5)
    n = 3 if channels > 2 else 1
    brighter = Augment(Policy(brightness=1), 1.0)(x)
    assert torch.allclose(brighter[:, :n], brighter[:, :1].expand(-1, n, -1, -1), atol=1e-6)
    assert normal(brighter[:, 0].flatten() - 0.5, 0.2)
    contrast = Augment(Policy(contrast=1), 1.0)(x)
    assert torch.allclose(contrast[:, :n], contrast[:, :1].expand(-1, n, -1, -1), atol=1e-6)
    assert normal((contrast[:, 0].flatten() / 0.5).log2(), 0.5)
    both = Augment(Policy(brightness=1, contrast=1), 1.0)(torch.cat([0 * x, x], 2))
    k, kb = 2 * (both[:, 0, 1] - both[:, 0, 0]), both[:, 0, 0]
    assert normal((kb / k).flatten(), 0.2)  # brightness comes first
    for out in (brighter, contrast):
        assert torch.equal(out[:, n:], x[:, n:])


def colour_matrices(policy, channels=3, count=COUNT):
    basis = torch.eye(channels).expand(count, -1, -1)[..., None]  # (B, C, 3 pixels, 1)
    return Augment(policy, 1.0)(basis)[..., 0]


def test_luma_flip_is_a_reflection_about_the_grey_axis():
    M = colour_matrices(Policy(luma_flip=1))
    axis = torch.ones(3, 1) / math.sqrt(3)
    householder = torch.eye(3) - 2 * axis @ axis.T
    flipped = (M - householder).abs().amax((1, 2)) < 1e-6
    same = (torch.eye(3) == M).flatten(1).all(1)
    assert (flipped ^ same).all() and near(flipped.float(), 0.5, 0.5)


def test_hue_is_a_rotation_about_the_grey_axis():
    M = colour_matrices(Policy(hue=1))
    axis = torch.ones(3, 1) / math.sqrt(3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cos = (M.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    sin = ((M - M.mT) * cross).sum((1, 2)) / 4
    angle = torch.atan2(sin, cos)
    rodrigues = (
        angle.cos()[:, None, None] * torch.eye(3)
        + angle.sin()[:, None, None] * cross
        + (1 - angle.cos())[:, None, None] * (axis @ axis.T)
    )
    assert torch.allclose(M, rodrigues, atol=1e-5)
    assert uniform(angle, -math.pi, math.pi)


def test_saturation_scales_what_lies_beside_the_grey_axis():
    M = colour_matrices(Policy(saturation=1))
    grey = torch.full((3, 3), 1 / 3)
    s = (M.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    wanted = grey + s[:, None, None] * (torch.eye(3) - grey)
    assert ((M - wanted).abs() < 1e-5 * (1 + s)[:, None, None]).all()
    assert normal(s.log2(), 1)


def test_colours_of_grey_images_stay():
    x = images(16, 2, 4, 4)
    assert torch.equal(Augment(Policy(luma_flip=1, hue=1, saturation=1), 1.0)(x), x)


# cutout


def test_cutout_leaves_0_in_half_of_the_sides():
    out = Augment(Policy(cutout=1), 1.0)(torch.ones(COUNT, 3, 16, 24))
    assert ((out == 0) | (out == 1)).all() and torch.equal(out[:, 0], out[:, 2])
    cut = out[:, 0] == 0
    rows, columns = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), rows * columns)  # a rectangle
    assert rows.max() == 8 and columns.max() == 12
    # uniform middles: a side of which half is cut loses 1/2 - 2 (1/4)^2 / 2 on average
    area = (rows * columns).double() / (16 * 24)
    assert near(area, (7 / 16) ** 2, area.std().item())


def test_cutout_is_as_probable_as_said():
    cut = (Augment(Policy(cutout=0.5), 0.8)(torch.ones(COUNT, 1, 8, 8)) == 0).flatten(1).any(1)
    assert near(cut.float(), 0.4, math.sqrt(0.24))


# DiffAugment


def test_diffaugment_shifts_and_leaves_0_behind():
    x = images(1, 1, 16, 24).abs() + 0.1
    out = DiffAugment(1.0)(x.expand(COUNT, -1, -1, -1))
    shown = (out != 0)[:, 0]
    # which the cutout, of 8 by 12, does not hide: each row and column has more pixels than that
    rows, columns = shown.any(2), shown.any(1)
    for side, seen, m in ((16, rows, 2), (24, columns, 3)):
        first = seen.float().argmax(1)
        last = seen.flip(1).float().argmax(1)
        shift = first - last
        assert ((first == 0) | (last == 0)).all() and seen.sum(1).min() == side - m
        counts = torch.bincount(shift + m, minlength=2 * m + 1)
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_diffaugment_changes_colours_as_told():
    x = images(COUNT, 3, 2, 2, dtype=torch.float64)
    recolour, _ = DiffAugment(1.0).maps(x)[0]
    y = recolour(x)
    mean, mean_of_y = x.mean((1, 2, 3)), y.mean((1, 2, 3))
    assert uniform(mean_of_y - mean, -0.5, 0.5)
    pixel, pixel_of_y = x.mean(1), y.mean(1)
    k = ((pixel_of_y - mean_of_y[:, None, None]) / (pixel - mean[:, None, None]))[:, 0, 0]
    assert uniform(k, 0.5, 1.5)
    s = ((y - pixel_of_y[:, None]) / (x - pixel[:, None]))[:, 0, 0, 0] / k
    assert uniform(s, 0, 2)
    wanted = (mean_of_y[:, None, None] + k[:, None, None] * (pixel - mean[:, None, None]))[:, None]
    wanted = wanted + (k * s)[:, None, None, None] * (x - pixel[:, None])
    assert torch.allclose(y, wanted, atol=1e-9)


# derivatives


@augmentations
@pytest.mark.parametrize("channels", [1, 4])
def test_it_is_differentiable_twice(make, channels):
    T = make(0.8)

    def drawn(x):
        torch.manual_seed(1)
        return T(x)

    x = images(2, channels, 3, 3, dtype=torch.float64).requires_grad_()
    assert gradcheck(drawn, x)
    assert gradgradcheck(lambda x: drawn(x).square(), x)


@augmentations
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_the_transpose_is_that_of_the_same_draw(make, channels):
    x = images(6, channels, 6, 8, dtype=torch.float64).requires_grad_()
    g = torch.randn_like(x)
    out, pull = make(0.7).linearised(x)
    (wanted,) = torch.autograd.grad(out, x, g)
    assert torch.allclose(pull(g), wanted, atol=1e-12)


def test_draws_are_those_of_the_seed_and_of_each_image():
    x = images(1, 3, 8, 8).expand(16, -1, -1, -1)
    T = Augment(R3GAN, 0.9)
    first, second = (T(x) for _ in range(2))
    torch.manual_seed(0)
    images(1, 3, 8, 8)
    assert torch.equal(T(x), first) and not torch.equal(first, second)
    assert len(first.flatten(1).unique(dim=0)) > 12


# p


def test_p_follows_the_rule():
    T = Augment(R3GAN, 0.5)
    sure, unsure = torch.tensor([3.0, 1.0, 0.1, 0.2]), torch.tensor([5.0, 5.0, 5.0, -1.0])
    assert T.adapt(sure, 64).item() == pytest.approx(0.5 + 64 / 500_000)
    assert T.adapt(unsure, 64).item() == pytest.approx(0.5)  # a mean sign of .5 is less than .6
    assert T.adapt(unsure, 64, target=0.4, speed=640).item() == pytest.approx(0.6)
    assert T.adapt(sure, 10**9).item() == 1 and T.p.item() == 1
    assert T.adapt(-sure, 10**9).item() == 0
    assert T.adapt(torch.ones(8, 3, 3), 5, speed=10).item() == 0.5  # patches
    record = T.adapt(sure, 0)
    T.set(0.25)
    assert (T.p.item(), record.item()) == (0.25, 0.5)


def test_p_is_kept_with_the_weights():
    T, other = Augment(R3GAN, 0.3), Augment(R3GAN)
    T.adapt(torch.ones(4), 1000)
    other.load_state_dict(T.state_dict())
    assert torch.equal(other.p, T.p) and [*T.state_dict()] == ["p"]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p):
    for wrong in (
        lambda: Augment(R3GAN, p),
        lambda: DiffAugment().set(p),
        lambda: Policy(hue=p),
    ):
        with pytest.raises(FrenemyError, match=r": give (0 or more|1 or less)"):
            wrong()
