"""The page: it says what the report says, escapes what users write, and needs nothing else."""

import html
import math
import re

import numpy as np
import pytest

from frenemy.errors import FrenemyError
from frenemy.figures import Figure
from frenemy.judge.copying import Pair
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.estimate import Estimate
from frenemy.judge.page import copies_figure, neighbours_figure, page, samples_figure
from frenemy.judge.plots import embedding, precision_recall
from frenemy.judge.report import Line, Report
from frenemy.judge.verdict import Verdict
from frenemy.pictures import enlarge, grid

from ..reading import Read
from .clouds import cloud

HOSTILE = "</title><script>alert('1')</script><b>\"&amp; \N{GREEK SMALL LETTER ALPHA}{{ 7 * 7 }}"


def images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def drawn(**features):
    return precision_recall(**features, found=precision_recall_density_coverage(**features))


def report(**fields):
    columns = ["runs/a", "held-out images", "noise"]
    lines = [
        Line(
            "fid10k_random",
            "lower",
            {
                "runs/a": Estimate(12.3456, 0.123, "rough"),
                "held-out images": Estimate(0.8, 0.031),
                "noise": Estimate(1873.26, 4.12, "rough"),
            },
        ),
        Line(
            "recall10k_random",
            "higher",
            {"runs/a": Estimate(0.4, 0.014), "noise": Estimate(0.0, 0.0, "other")},
        ),
        Line("copying10k_random", "", {"runs/a": Estimate(-31.2, math.nan)}),
    ]
    curves = {"fid10k_random": [(1000, 30.0, 1.0), (2000, 12.0, 0.5)]}
    whole = {
        "target": "runs/a",
        "against": "digits",
        "protocol": {"samples": "10,000"},
        "columns": columns,
        "lines": lines,
        "warnings": ["few held-out images"],
        "curves": curves,
        "verdict": Verdict("copied", [f"3 of 9 are copies of {HOSTILE}."]),
    }
    return Report(**(whole | fields))


def figures():
    features = {"real": cloud(40, 4), "fake": cloud(40, 4, seed=1)}
    fake, train = images(20, 1, 8, 8), images(30, 1, 8, 8, seed=1)
    return {
        "Nearest training images": [neighbours_figure(fake=fake, train=train, index=np.arange(20))],
        "Precision and recall": precision_recall(
            **features, found=precision_recall_density_coverage(**features)
        ),
        "Real and generated images in feature space": [embedding(**features)],
    }


def made():
    return page(report(), figures(), samples_figure(images(20, 1, 8, 8)))


@pytest.fixture(scope="module")
def whole():
    return made()


def test_the_samples_and_the_verdict_come_first(whole):
    top, _, rest = whole.partition("The numbers")
    assert "A grid of 20 generated images" in top and "<img" in top
    assert "3 of 9 are copies of " in top and "<table" not in top and "<table" in rest


# What it says


def test_the_table_holds_every_value_with_its_error_and_says_which_direction_is_better(whole):
    assert Read(whole).cells == [  # the last digit of some is the number of their note
        ["Metric", "runs/a", "held-out images", "noise"],
        [
            "fid10k_random\N{NO-BREAK SPACE}↓(lower is better)",
            "12.35 ± 0.121",
            "0.800 ± 0.031",
            "1,873.3 ± 4.11",
        ],
        [
            "recall10k_random\N{NO-BREAK SPACE}↑(higher is better)",
            "0.400 ± 0.014",
            "–not measured",
            "0 ± 02",
        ],
        ["copying10k_random", "−31.2", "–not measured", "–not measured"],
    ]


def test_notes_are_footnotes_and_equal_ones_are_one(whole):
    notes = re.findall(r'<li id="(note-\d)">([^<]*)</li>', whole)
    assert notes == [("note-1", "rough"), ("note-2", "other")]
    links = [a["href"] for a in Read(whole).of("a")]
    assert links == ["#note-1", "#note-1", "#note-2"]


def test_warnings_and_protocol_are_told(whole):
    words = Read(whole).words
    assert "few held-out images" in words["ul"]
    assert "samples" in words["dt"]
    assert "10,000" in words["dd"]
    assert "Judged against digits." in words["p"]


def test_everything_is_there_and_in_order(whole):
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", whole) == [
        "Copied",
        "The numbers",
        "Before you rely on these numbers",
        "How it was measured",
        "Nearest training images",
        "Precision and recall",
        "Real and generated images in feature space",
        "Across checkpoints",
        "What the metrics mean",
    ]
    assert len(Read(whole).of("img")) == 2
    assert len(Read(whole).of("svg")) == 4  # precision, recall, the plane, a curve


def test_what_there_is_not_has_no_section():
    bare = page(report(protocol={}, lines=[], warnings=[], curves={}, verdict=None), {})
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", bare) == ["The numbers"]
    Read(bare)


def test_curves_without_a_value_are_left_out_and_those_without_a_line_drawn():
    found = page(
        report(curves={"kid10k_random": [(1, math.nan, 0.0)], "vendi": [(1, 2.0, 0.1)]}), {}
    )
    assert [a["aria-label"] for a in Read(found).of("svg")] == [
        "vendi over 1 checkpoints: 2 at round 1, 2 at round 1"
    ]


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("fid50k_inception", "fid"),
        ("fid-infinity10k_random", "fid-infinity"),
        ("is10k_classifier-mnist", "is"),
        ("isotropy10k_random", None),
        ("class-diversity10k_classifier-mnist", "class-diversity"),
        ("parzen10k_default-grid", "parzen"),
        ("ais1000x16x10000 GAN, z of 10", "ais"),
        ("unheard-of", None),
    ],
)
def test_each_metric_is_explained(metric, name):
    text = page(report(lines=[Line(metric, "", {})], curves={}), {})
    told = re.findall(r"<dt>([^<]*)</dt>\n<dd>[^<]*<cite>[^<]+ \d{4}, ", text)
    assert [html.unescape(found) for found in told] == ([name] if name else [])


# What users write


def test_what_users_write_is_text_and_nothing_else():
    found = page(
        report(
            target=HOSTILE,
            against=HOSTILE,
            protocol={HOSTILE: HOSTILE},
            columns=[HOSTILE],
            lines=[Line("fid" + HOSTILE, "lower", {HOSTILE: Estimate(1.0, 0.1, HOSTILE)})],
            warnings=[HOSTILE],
            curves={"fid" + HOSTILE: [(1, 1.0, 0.1)]},
        ),
        {"Samples": [Figure(lambda canvas: None, HOSTILE, HOSTILE)]},
    )
    assert "<script" not in found
    assert "<b>" not in found
    read = Read(found)
    for tag in ("title", "h1", "p", "dt", "dd", "th", "ol", "ul", "figcaption"):
        assert HOSTILE in read.words[tag]
    assert HOSTILE in read.of("svg")[0]["aria-label"]
    assert {tag for tag, _ in read.elements} <= {
        tag for tag, _ in Read(page(report(), {})).elements
    }


def test_a_path_that_is_no_text_is_shown_as_far_as_it_is():
    name = b"runs/\xff1".decode("utf-8", "surrogateescape")
    assert "<title>frenemy judge: runs/?1</title>" in page(report(target=name), {})


# What it needs


def test_the_page_loads_nothing(whole):
    read = Read(whole)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in read.elements}
    for _, attributes in read.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/", "#"))
            assert not name.startswith("on")
    assert "@import" not in whole
    assert set(re.findall(r"url\((.)", whole)) <= {"#"}
    policy = [m["content"] for m in read.of("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_page_can_be_read_on_a_phone_in_the_dark_and_aloud(whole):
    read = Read(whole)
    assert read.of("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in read.of("meta")
    assert "@media (prefers-color-scheme: dark)" in whole
    assert all(a["alt"] for a in read.of("img"))
    assert all(a["role"] == "img" and a["aria-label"] for a in read.of("svg"))
    assert {a["scope"] for a in read.of("th")} == {"col", "row"}
    assert len(read.of("h1")) == len(read.of("main")) == 1
    (scroll,) = [a for a in read.of("div") if a.get("class") == "scroll"]
    assert scroll["tabindex"] == "0"  # or a keyboard cannot scroll it


def test_identifiers_differ_and_what_is_referred_to_exists(whole):
    read = Read(whole)
    names = [a["id"] for _, a in read.elements if "id" in a]
    assert len(names) == len(set(names))
    for _, attributes in read.elements:
        referred = [attributes.get(name, "") for name in ("href", "xlink:href")]
        used = [name[1:] for name in referred if name.startswith("#")]
        for name in ("aria-labelledby", "aria-describedby"):
            used += attributes.get(name, "").split()
        assert set(used) <= set(names)


def test_the_same_report_is_the_same_page(whole):
    assert made() == whole


def test_a_page_of_64_large_noisy_samples_and_full_plots_is_below_2_megabytes():
    fake = images(64, 3, 128, 128)
    features = {"real": cloud(1000, 3), "fake": cloud(1000, 3, seed=1)}
    curves = {f"fid{i}": [(t, 1.0, 0.1) for t in range(1, 30)] for i in range(15)}
    text = page(
        report(curves=curves),
        {
            "Neighbours": [neighbours_figure(fake=fake, train=fake, index=np.arange(64))],
            "Precision and recall": precision_recall(
                **features, found=precision_recall_density_coverage(**features)
            ),
            "Embedding": [embedding(**features)],
        },
    )
    assert len(text.encode()) < 2e6


# Pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_shown_pixel_by_pixel(channels):
    fake = images(70, channels, 7, 9)
    figure = samples_figure(fake)
    np.testing.assert_array_equal(figure.frames, [grid(enlarge(fake[:64]))])
    assert figure.caption.startswith("The first 64 of 70 samples, 9 x 7 pixels")


def test_the_fifth_of_each_row_stands_beside_its_nearest_training_image():
    fake, train = images(12, 1, 64, 64), images(30, 1, 64, 64, seed=1)
    index = np.arange(12) + 3
    ((pixels,),) = neighbours_figure(fake=fake, train=train, index=index).frames
    assert pixels.shape[0] == 2 * 64 + 2  # 12 samples are two rows, and a gap between them
    for row in range(2):
        part = pixels[row * 66 : row * 66 + 64]
        for column in range(5):
            shown = part[:, column * 66 : column * 66 + 64]
            np.testing.assert_array_equal(shown, fake[5 * row + column, 0])
        np.testing.assert_array_equal(part[:, -64:], train[index[5 * row + 4], 0])


def test_no_samples_are_refused():
    with pytest.raises(FrenemyError, match="no images"):
        samples_figure(images(0, 1, 8, 8))


@pytest.mark.parametrize(
    ("fake", "train", "count"),
    [
        (images(4, 1, 8, 8), images(9, 1, 8, 8), 4),
        (images(5, 1, 8, 8), images(9, 1, 8, 8), 4),
        (images(5, 1, 8, 8), images(9, 3, 8, 8), 5),
        (images(5, 1, 8, 8), images(9, 1, 9, 8), 5),
    ],
    ids=["four samples", "too few indices", "channels", "size"],
)
def test_neighbours_that_do_not_fit_are_refused_in_one_line(fake, train, count):
    with pytest.raises(FrenemyError, match=r"^nearest neighbours: ") as told:
        neighbours_figure(fake=fake, train=train, index=np.zeros(count, np.int64))
    assert "\n" not in str(told.value)


def test_copies_stand_above_their_originals():
    fake, train = images(30, 1, 4, 4), images(50, 1, 4, 4, seed=1)
    pairs = [Pair(3, 7, 1, -2, False), Pair(0, 9, 0, 0, True)]
    found = copies_figure(fake=fake, train=train, pairs=pairs)
    expected = grid(enlarge(np.stack([fake[3], fake[0], train[7], train[9]])), columns=2)
    assert np.array_equal(found.content[0], expected)
    assert "1 down, 2 left; mirrored" in found.caption
    with pytest.raises(FrenemyError, match="no copies to show"):
        copies_figure(fake=fake, train=train, pairs=[])
