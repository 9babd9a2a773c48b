"""Lines of a report: which there are, what they are called, and what is said of those left out."""

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate
from frenemy.judge.feature_pairs import pairs_of
from frenemy.judge.features import Features, pixels
from frenemy.judge.kernel import kid
from frenemy.judge.lines import lines_of, mean_of_parts, of_each
from frenemy.judge.sets import HELD_OUT, SAMPLES, Drawn, Sets, noise_like


def test_who_cannot_be_judged_is_left_out_with_the_reason():
    def double(x: int) -> int:
        if x == 0:
            raise FrenemyError("nothing there")
        return 2 * x

    warnings, said = [], []
    found = of_each("twice", {"a": 3, "b": 0, "c": 4}, double, warnings, said.append)
    assert found == {"a": 6, "c": 8}
    assert warnings == ["twice of b: nothing there"]
    assert said == ["twice of a", "twice of b", "twice of c"]
    warnings.clear()
    assert of_each("twice", {"a": 0, "b": 0}, double, warnings, said.append) == {}
    assert warnings == ["twice: nothing there"]


PIXELS = pixels()


def lines(metrics, *, asked, features=PIXELS):
    images = noise_like(np.zeros((40, 1, 4, 4), np.uint8), 0)
    real, valid = images[:20], images[20:]
    train = Drawn(real, np.arange(20))
    sets = Sets({SAMPLES: valid, HELD_OUT: valid[:9]}, real, train, valid, valid)
    pairs = pairs_of(sets, features, seed=0, device=torch.device("cpu"))
    warnings, said = [], []
    found = lines_of(metrics, pairs, warnings, said.append, asked=asked, pixels=True)
    return found, warnings, said


def test_a_line_for_each_metric_on_features():
    (fid,), warnings, said = lines(["fid", "parzen"], asked=True)
    assert (fid.metric, fid.better, warnings) == ("fid20_pixels", "lower", [])
    assert fid.results[HELD_OUT].note.startswith("of 9 images")
    assert isinstance(fid.results[SAMPLES], Estimate)
    assert said[0] == "fid of samples, features pixels"


def test_classes_that_nobody_knows_are_missed_only_if_asked_for():
    assert lines(["is"], asked=False)[:2] == ([], [])
    assert lines(["is"], asked=True)[:2] == ([], ["is: the features 'pixels' know no classes"])


def test_what_can_be_measured_of_nobody_has_no_line():
    found, warnings, _ = lines(["data-copying"], asked=True)
    assert found == []
    assert [text.partition(": ")[0] for text in warnings] == [
        "data-copying of samples",
        "data-copying of held-out images",
    ]


def test_nothing_is_looked_at_for_metrics_that_need_no_features():
    unseen = Features("unseen", lambda x: pytest.fail("looked at"), "")
    assert lines(["parzen", "ais"], asked=True, features=unseen) == ([], [], [])


def test_the_error_of_a_mean_of_parts_is_its_scatter():
    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        real, *parts = torch.randn(4, 60, 3, generator=generator)
        return mean_of_parts([kid(real=real, fake=part + 0.5) for part in parts])

    found = [drawn(seed) for seed in range(300)]
    scatter = np.std([e.value for e in found])
    claimed = np.sqrt(np.mean([e.error**2 for e in found]))
    assert 0.85 < claimed / scatter < 1.15  # of 300 draws: 4 % each way is one deviation
    own = np.sqrt(np.mean([e.error**2 - np.square(e.shared).mean() for e in found]))
    assert own < 0.8 * claimed  # most of it the parts do not average out


def test_parts_without_an_error_have_a_mean_without_one():
    assert np.isnan(mean_of_parts([Estimate(1.0, float("nan"))] * 2).error)
    assert mean_of_parts([Estimate(1.0, 0.0)] * 2).error == 0
