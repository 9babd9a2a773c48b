"""Plots: what is drawn is what was measured, and the SVG stands alone in a page."""

import functools
import math
import re
import sys
import types
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA

from frenemy.errors import FrenemyError
from frenemy.figures import BLUE, INK, VERMILION, Canvas, Figure
from frenemy.judge import plots
from frenemy.judge.class_shares import class_shares
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.plots import class_shares as class_bars
from frenemy.judge.plots import curve, embedding

from .clouds import cloud, modes

POINTS = [(100, 40.0, 3.0), (200, 20.0, 2.0), (300, 10.0, 1.0)]
TITLE = 'fid$10k$_<script>alert("1")</script>&'


def precision_recall(*, real, fake):
    found = precision_recall_density_coverage(real=real, fake=fake)
    return plots.precision_recall(real=real, fake=fake, found=found)


@pytest.fixture
def axes(monkeypatch):
    """The axes of every plot that is made, in order."""
    made = []

    def spy(draw, *words):
        draw(canvas := Canvas())
        made.extend(canvas.axes)
        return Figure(draw, *words)

    monkeypatch.setattr(plots, "Figure", spy)
    return made


def points_of(axes):
    """The points in a scatter plot by their legend, (N, 2)."""
    return {line.get_label(): np.stack(line.get_data(), 1) for line in axes.get_lines()}


def svg(figure):
    """The drawing of a figure, without its caption."""
    return re.search("<svg .*</svg>", figure.html(), re.DOTALL)[0]


def all_figures():
    real, fake = cloud(60, 5), cloud(50, 5, seed=1) + 1
    return [
        embedding(real=real, fake=fake),
        *precision_recall(real=real, fake=fake),
        curve(POINTS, TITLE),
        curve([(0, 0.3, math.nan), (50_000, 0.4, 0.01)], "recall10k"),
        class_bars(found_of([9, 0], [5, 5])),
    ]


@pytest.fixture(scope="module")
def panels():
    return [svg(figure) for figure in all_figures()]


# The SVG


def test_panels_are_svg_that_a_reader_can_hear_and_that_needs_nothing_else(panels):
    for panel in panels:
        root = ElementTree.fromstring(panel)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        names = {element.tag.partition("}")[2] for element in root.iter()}
        assert not names & {"script", "style", "metadata", "image", "font-face", "a"}
        assert panel.startswith("<svg ")  # no prolog, which HTML does not know
        addresses = set(re.findall(r"https?://[^\"' )]+", panel))
        assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_identifiers_differ_within_and_between_panels_and_those_in_use_exist(panels):
    together = "".join(panels)
    counts = Counter(re.findall(r'\sid="([^"]*)"', together))
    assert set(counts.values()) == {1}
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', together)
    assert {a or b for a, b in used} == set(counts)


def test_plots_are_the_same_each_time_and_leave_the_global_generators_alone(panels):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert [svg(figure) for figure in all_figures()] == panels
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_text_takes_the_colour_of_the_page(panels):
    for panel in panels:
        assert "currentColor" in panel
        assert INK not in panel
        assert "#000000" not in panel


def test_hostile_titles_are_text(panels):
    root = ElementTree.fromstring(svg(curve(POINTS, TITLE)))
    assert TITLE in root.get("aria-label")
    assert "<script" not in "".join(panels)


def test_labels_on_the_axes_keep_their_digits():
    shown = curve([(1, 0.29, 0.0), (2, 0.42, 0.0)], "recall").html()
    assert re.search(r">0\.\d\d\d<", shown)


@pytest.mark.parametrize("colour", [plots.BLUE, plots.VERMILION, plots.GREY])
@pytest.mark.parametrize("paper", ["#ffffff", "#14161a"])
def test_points_stand_out_from_light_and_dark_paper(colour, paper):
    def luminance(rgb):  # WCAG 2
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    mixed = [
        plots.ALPHA * a + (1 - plots.ALPHA) * b
        for a, b in zip(to_rgb(colour), to_rgb(paper), strict=True)
    ]
    low, high = sorted([luminance(mixed), luminance(to_rgb(paper))])
    assert (high + 0.05) / (low + 0.05) > 3  # WCAG 2.1, 1.4.11: what is no text


# The plane


@pytest.mark.parametrize(("count", "d"), [(200, 7), (30, 400)])
def test_the_plane_is_scikit_learns(count, d, axes):
    real, fake = cloud(count, d) * torch.arange(1, d + 1), cloud(25, d, seed=1)
    embedding(real=real, fake=fake)
    oracle = PCA(2, svd_solver="full").fit(real.numpy())
    found = points_of(axes[0])
    for name, rows in (("real", real), ("generated", fake)):
        expected = oracle.transform(rows.numpy())
        mine = found[f"{name} ({len(rows)})"]
        signs = np.sign((oracle.transform(real.numpy()) * found[f"real ({count})"]).sum(0))
        # float64; squares of singular values are good to 1e-15 of the largest one's
        np.testing.assert_allclose(mine * signs, expected, rtol=1e-8, atol=1e-8 * d)
    share = oracle.explained_variance_ratio_[0]
    assert axes[0].get_xlabel() == f"1st component ({share:.0%} of real variance)"


def test_the_direction_of_a_component_does_not_hang_on_the_order_of_the_images(axes):
    real, fake = cloud(100, 6), cloud(40, 6, seed=1)
    embedding(real=real, fake=fake)
    embedding(real=real.flip(0), fake=fake)
    first, second = (points_of(a)["generated (40)"] for a in axes)
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-9)  # float64 in another order


@pytest.mark.parametrize(
    "real",
    [torch.ones(5, 3), torch.arange(5.0)[:, None] * torch.ones(3), torch.arange(5.0)[:, None]],
    ids=["constant", "on a line", "one feature"],
)
def test_a_component_without_variance_is_zero(real, axes):
    figure = embedding(real=real, fake=real[:4] + 0.25)
    x = points_of(axes[0])["real (5)"]
    assert (x[:, 1] == 0).all()
    assert np.isfinite(points_of(axes[0])["generated (4)"]).all()
    assert "nan" not in svg(figure)


def test_at_most_a_thousand_points_of_each_set_are_drawn(axes):
    figure = embedding(real=cloud(1500, 3), fake=cloud(1200, 3, seed=1))
    found = points_of(axes[0])
    assert {name: len(rows) for name, rows in found.items()} == {
        "real (1,000)": 1000,
        "generated (1,000)": 1000,
    }
    assert len(np.unique(found["real (1,000)"], axis=0)) == 1000  # none of them twice
    assert "1,000 real images" in figure.caption
    assert len(svg(figure)) < 300_000  # bytes: four such panels leave room in 2 MB


def test_images_of_any_shape_and_precision_are_vectors():
    real, fake = cloud(30, 12).half(), cloud(20, 12, seed=1).half()
    deep = embedding(real=real.view(-1, 3, 2, 2), fake=fake.view(-1, 3, 2, 2))
    assert deep.html() == embedding(real=real, fake=fake).html()


def test_without_umap_the_plane_is_that_of_pca_and_the_caption_says_so(monkeypatch):
    real, fake = cloud(30, 4), cloud(20, 4, seed=1)
    monkeypatch.setitem(sys.modules, "umap", None)
    found, plain = embedding(real=real, fake=fake, method="umap"), embedding(real=real, fake=fake)
    assert svg(found) == svg(plain)
    assert "principal components" in found.caption
    assert "pip install 'frenemy[umap]'" in found.caption
    assert "umap" not in plain.caption.lower()


def test_umap_lays_out_both_sets_together(monkeypatch, axes):
    class UMAP:
        def __init__(self, *, n_neighbors, random_state, n_jobs):
            assert (n_neighbors, n_jobs) == (15, 1)
            assert random_state is not None

        def fit_transform(self, rows):
            return rows[:, :2].astype(np.float32)

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    real, fake = cloud(30, 4), cloud(20, 4, seed=1)
    figure = embedding(real=real, fake=fake, method="umap")
    found = points_of(axes[0])
    np.testing.assert_allclose(found["real (30)"], real[:, :2], rtol=1e-6)  # float32
    np.testing.assert_allclose(found["generated (20)"], fake[:, :2], rtol=1e-6)
    assert "UMAP" in figure.caption
    assert "component" not in figure.caption


@pytest.mark.slow  # compiling takes UMAP most of a minute
def test_umap_keeps_far_groups_apart_and_gives_the_same_plane_again(axes):
    pytest.importorskip("umap")
    real, fake = cloud(60, 5), cloud(60, 5, seed=1) + 30
    first, second = (embedding(real=real, fake=fake, method="umap") for _ in range(2))
    assert first.html() == second.html()
    x, y = points_of(axes[0]).values()
    gap = np.linalg.norm(x.mean(0) - y.mean(0))
    assert gap > 2 * max(x.std(0).max(), y.std(0).max())


# Precision and recall


def shares(axes):
    """Precision and recall as of the points that are drawn."""
    result = []
    for panel in axes:
        sets = points_of(panel)
        inside = sum(len(rows) for name, rows in sets.items() if name.endswith(", inside"))
        result.append(inside / (inside + len(sets.get("outside", []))))
    return result


def double_loop(real, fake, k):
    """Precision with nothing but a loop."""
    radii = [sorted((x - other).norm().item() for other in real)[k] for x in real]
    inside = [
        any((y - x).norm().item() < radius for x, radius in zip(real, radii, strict=True))
        for y in fake
    ]
    return sum(inside) / len(inside)


def test_the_shares_are_those_of_a_double_loop(axes):
    real, fake = cloud(40, 3), 1.3 * cloud(40, 3, seed=1) + 0.3
    precision_recall(real=real, fake=fake)
    assert shares(axes) == [double_loop(real, fake, 5), double_loop(fake, real, 5)]


def test_the_titles_are_the_tables_values_whatever_is_drawn(axes):
    real, fake = cloud(1300, 3), 1.3 * cloud(1500, 3, seed=1) + 0.3
    first, second = precision_recall(real=real, fake=fake)
    found = precision_recall_density_coverage(real=real, fake=fake)
    titles = [f"Precision {found.precision}", f"Recall {found.recall}"]
    assert [panel.get_title() for panel in axes] == titles
    assert f"precision {found.precision}" in first.alt
    assert f"recall {found.recall}" in second.alt
    # of 1,000 of them: three errors of a share of so many
    assert shares(axes) == pytest.approx([found.precision.value, found.recall.value], abs=0.05)


def test_collapse_costs_recall_and_bad_samples_cost_precision(axes):
    real = modes(300, 6, 4)
    precision_recall(real=real, fake=modes(300, 1, 4, seed=1))
    precision, recall = shares(axes)
    assert precision > 0.8
    assert recall < 1 / 6 + 0.01
    axes.clear()
    far = modes(300, 6, 4, seed=1)
    far[:150] += 1000
    precision_recall(real=real, fake=far)
    precision, recall = shares(axes)
    assert precision < 0.5
    assert recall > 0.8


def test_swapped_sets_swap_the_shares(axes):
    real, fake = modes(100, 5, 4), modes(100, 2, 4, seed=1)
    precision_recall(real=real, fake=fake)
    precision_recall(real=fake, fake=real)
    assert shares(axes[:2]) == shares(axes[2:])[::-1]
    assert shares(axes[:2])[0] != shares(axes[:2])[1]


def test_the_same_images_are_all_inside(axes):
    x = cloud(50, 3)
    precision_recall(real=x, fake=x)
    assert shares(axes) == [1, 1]
    assert "outside" not in points_of(axes[0])


def test_what_only_looks_near_in_the_plane_is_outside(axes):
    real = cloud(100, 3) * torch.tensor([10.0, 10.0, 0.01])
    precision_recall(real=real, fake=real + torch.tensor([0, 0, 100.0]))
    assert shares(axes) == [0, 0]
    flat = points_of(axes[0])
    # the third axis has a thousandth of the others' deviation, and so of their directions' error
    np.testing.assert_allclose(flat["outside"], flat["real"], rtol=0, atol=1)


def test_at_most_1000_of_each_are_drawn(axes):
    figure, _ = precision_recall(real=cloud(1300, 3), fake=cloud(70, 3, seed=1))
    for panel in axes:
        assert sum(map(len, points_of(panel).values())) == 1070
    assert "70 of 70 generated images and 1,000 of 1,300 real ones" in figure.caption


def test_what_cannot_be_seen_is_told():
    real, fake = modes(60, 3, 4), modes(60, 1, 4, seed=1)
    first, second = precision_recall(real=real, fake=fake)
    assert "of the 60 generated images drawn lie among the real ones; of all: precis" in first.alt
    assert "of the 60 real images drawn lie among the generated ones; of all: recall" in second.alt


# Curves


def test_a_curve_is_its_points_with_a_band_of_one_error(axes):
    figure = curve(POINTS, "fid10k")
    line = axes[0].get_lines()[0]
    np.testing.assert_array_equal(np.stack(line.get_data(), 1), [p[:2] for p in POINTS])
    band = {tuple(vertex) for vertex in axes[0].collections[0].get_paths()[0].vertices}
    assert {(t, v + s * e) for t, v, e in POINTS for s in (-1, 1)} <= band
    assert axes[0].get_xscale() == "linear"
    assert figure.caption == "fid10k"
    assert "fid10k over 3 checkpoints: 40 at round 100, 10 at round 300" in figure.alt


@pytest.mark.parametrize(
    ("rounds", "scale"),
    [
        ([100, 2000], "linear"),
        ([100, 2001], "log"),
        ([0, 100, 2001], "symlog"),
        ([0, 1], "linear"),
        ([0], "linear"),
        ([7], "linear"),
    ],
)
def test_rounds_that_span_more_than_a_factor_of_20_stand_on_a_logarithmic_axis(rounds, scale, axes):
    curve([(t, 1.0, 0.1) for t in rounds], "fid10k")
    assert axes[0].get_xscale() == scale


def test_a_missing_error_has_no_band_and_a_missing_value_no_point(axes):
    points = [(1, 3.0, math.nan), (2, math.nan, 1.0), (3, math.inf, 1.0), (4, 2.0, 0.5)]
    figure = curve(points, "fid10k")
    line = axes[0].get_lines()[0]
    np.testing.assert_array_equal(np.stack(line.get_data(), 1), [(1, 3.0), (4, 2.0)])
    assert "nan" not in svg(figure)


# Classes


def found_of(fake, real, names=None, **confusion):
    fake, real = (torch.from_numpy(np.repeat(np.arange(len(n)), n)) for n in (fake, real))
    names = names or [f"kind {i}" for i in range(int(real.max()) + 1)]
    return class_shares(fake_classes=fake, real_classes=real, names=names, **confusion)


def test_bars_are_what_is_due_and_what_is_found(axes):
    found = found_of([100, 40, 0], [50, 50, 50], ["$cat$", "dog", "bird"])
    figure = class_bars(found)
    figure.content(Canvas())
    due, bars = ([bar.get_width() for bar in kind] for kind in axes[0].containers[:2])
    assert due == pytest.approx([c.due for c in found.classes])
    assert bars == pytest.approx([c.corrected for c in found.classes])
    assert [bar.get_facecolor()[:3] for bar in axes[0].containers[1]] == [
        to_rgb(BLUE), to_rgb(BLUE), to_rgb(VERMILION),
    ]  # fmt: skip
    assert "lost: bird (0 of 47 expected)" in figure.alt
    assert "Lost: bird (0 of 47 expected)" in figure.caption
    assert "$cat$" in svg(figure)  # no formula


def test_honest_bars_are_told_as_such():
    figure = class_bars(found_of([50, 50], [50, 50], confusion=torch.eye(2) * 100))
    assert "no class differs from its expected share by more than chance" in figure.alt
    told = "corrected for the classifier's own mistakes, counted on images of known classes"
    assert told in figure.caption


def test_of_many_classes_the_worst_are_shown_in_their_order(axes):
    fake = np.full(200, 100)
    fake[[10, 150]] = 0
    figure = class_bars(found_of(fake, np.full(200, 100)))
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert len(names) == 50 and {"kind 10", "kind 150"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name.split()[1]))
    assert "the 50 of 200 classes that differ most" in figure.alt


# Bad input

X = cloud(20, 4)


@pytest.mark.parametrize(
    ("real", "fake"),
    [(X, X[:, :3]), (X, X[:1]), (X[:0], X), (X, X * math.nan), (X * math.inf, X)],
    ids=["features", "few", "none", "nan", "infinite"],
)
def test_bad_features_are_refused_in_one_line(real, fake):
    found = precision_recall_density_coverage(real=X, fake=X)
    for draw in (embedding, functools.partial(plots.precision_recall, found=found)):
        with pytest.raises(FrenemyError, match=r"^(embedding|precision and recall picture): ") as e:
            draw(real=real, fake=fake)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("points", [[], [(1, math.nan, 0.0)]])
def test_a_curve_without_values_is_refused(points):
    with pytest.raises(FrenemyError, match="curve of fid10k: no finite value"):
        curve(points, "fid10k")
