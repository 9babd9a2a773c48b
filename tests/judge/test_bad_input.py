"""What every metric refuses, in one line that begins with its name; each has its own minimum."""

import functools
import math

import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.authenticity import data_copying
from frenemy.judge.classes import diversity_within_classes
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.diversity import vendi
from frenemy.judge.fld import fld
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import cmmd, kid
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test

from .clouds import cloud

X, CLASSES = cloud(40, 4), torch.zeros(40)

TWO_SETS = {
    "frechet": (frechet, 4),
    "frechet_infinity": (frechet_infinity, 32),
    "kid": (kid, 4),
    "cmmd": (cmmd, 4),
    "sliced_wasserstein": (sliced_wasserstein, 4),
    "two_sample_test": (two_sample_test, 4),
    "precision and recall": (precision_recall_density_coverage, 6),
    "fld": (functools.partial(fld, train=X), 40),
    "data_copying": (functools.partial(data_copying, train=X), 20),
    "diversity_within_classes": (
        functools.partial(diversity_within_classes, real_classes=CLASSES, fake_classes=CLASSES),
        2,
    ),
}
ONE_SET = {"vendi": (vendi, 4)}

NOT_FINITE = [torch.full_like(X, math.nan), X.clone().index_fill_(1, torch.tensor(2), -math.inf)]


def refusal(metric, **sets):
    with pytest.raises(FrenemyError) as refused:
        metric(**sets)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", TWO_SETS)
@pytest.mark.parametrize("which", ["real", "fake"])
def test_two_sets(name, which):
    metric, least = TWO_SETS[name]
    whole = {"real": X, "fake": X}
    few = f"{name}: {least - 1} in {which}: needs {least} or more"
    assert refusal(metric, **{**whole, which: X[: least - 1]}) == few
    assert refusal(metric, **{**whole, which: X[:0]}).startswith(f"{name}: 0 in {which}: ")
    said = refusal(metric, **{**whole, which: X[:, :3]})
    assert said.startswith(f"{name}: rows of different shapes: ")
    for rows in NOT_FINITE:
        said = refusal(metric, **{**whole, which: rows})
        assert said == f"{name}: {which} holds numbers that are not finite"


@pytest.mark.parametrize("name", ONE_SET)
def test_one_set(name):
    metric, least = ONE_SET[name]
    assert refusal(metric, fake=X[: least - 1]) == (
        f"{name}: {least - 1} in fake: needs {least} or more"
    )
    assert refusal(metric, fake=X[:0]).startswith(f"{name}: 0 in fake: ")
    for rows in NOT_FINITE:
        assert refusal(metric, fake=rows) == f"{name}: fake holds numbers that are not finite"
