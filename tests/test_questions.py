"""What is asked in Python: the same numbers as on the command line, and nothing is written."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import frenemy
from frenemy import compare, health, judge, open_dataset, recipes, train
from frenemy.cli import main
from frenemy.errors import FrenemyError
from frenemy.judge.report import Report

HOW = {"metrics": ["kid", "recall"], "features": ["random"], "samples": 150}


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(recipes.digits2014, out=tmp_path_factory.mktemp("runs") / "run", steps=60)


@pytest.fixture(scope="module")
def judgement(run):
    return judge(run, **HOW)


def test_a_run_is_judged_as_on_the_command_line(run, judgement, tmp_path):
    out = tmp_path / "judge.json"
    options = ["--metrics", *HOW["metrics"], "--features", "random", "--samples", "150"]
    assert main(["judge", str(run.path), *options, "-o", str(out)]) == 0
    assert Report.load(out) == judgement.report
    assert not (run.path / "judge.json").exists()


def test_the_numbers_are_a_table(judgement):
    rows = judgement.rows()
    assert [row["metric"] for row in rows if row["column"] == "samples"] == [
        "kid150_random",
        "recall150-k5_random",
    ]
    assert all(row["error"] >= 0 and row["better"] in ("lower", "higher") for row in rows)
    assert judgement._repr_html_().startswith("<iframe srcdoc=")


def test_images_of_any_form_are_judged_alike(digits):
    samples, real = digits.valid.images, np.asarray(digits.train.images)
    forms = [
        (np.asarray(samples), digits),
        (torch.tensor(samples).float() / 255, digits),
        (list(np.asarray(samples)), digits),
    ]
    found = [judge(images, against, **HOW).rows() for images, against in forms]
    assert found[0] == found[1] == found[2]
    assert judge(samples, torch.tensor(real), **HOW).report.against.startswith("Tensor in memory")


def test_a_run_on_images_from_memory_is_judged_by_them(digits, tmp_path):
    images = np.asarray(digits.train.images[:400])
    run = train(recipes.digits2014, images, out=tmp_path / "run", steps=2)
    with pytest.raises(FrenemyError, match="from memory: give them; or name other"):
        judge(run, **HOW)
    assert judge(run, images, **HOW).rows()[0]["metric"] == "kid150_random"


def test_what_was_judged_is_compared(run, judgement, tmp_path):
    report, _ = judgement.save(tmp_path / "one.json")
    for judged in ((judgement, judgement.report), (report, str(report))):
        found = compare(*judged)
        assert [line.metric for line in found.lines] == ["kid150_random", "recall150-k5_random"]
        assert not any(any(line.differs) for line in found.lines)
    with pytest.raises(FrenemyError, match="two runs or more"):
        compare(judgement)
    with pytest.raises(FrenemyError, match="make it with `frenemy judge`"):
        compare(run, judgement)


def test_how_a_run_goes(run):
    for given in (run, run.path, str(run.path)):
        found = health(given)
        assert found.word == "cannot tell" and not found.findings
        assert [measured["step"] for measured in found.measurements] == [50]
        assert "too early" in str(found)
    with pytest.raises(FrenemyError, match=r"nowhere is not a run \(it has no run\.json\)"):
        health(run.path / "nowhere")


def test_health_needs_no_torch():
    code = "import sys; from frenemy import health; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_judge_is_the_function_too():
    from frenemy.judge import report

    assert report.Report is Report
    assert callable(frenemy.judge) and callable(judge)


@pytest.mark.parametrize(
    ("arguments", "how", "said"),
    [
        ((np.zeros((9, 8, 8), np.uint8),), {}, "the ndarray is not a run: name the real images by"),
        ((5, None), {}, "the int is not a run"),
        (("run", None), {"size": 8}, "stay as in training"),
        (("run", None), {"fit": "stretch"}, "stay as in training"),
        (("run", None), {"seed": -1}, "seed is -1"),
        (("run", None), {"step": 7}, "7"),
        (("run", None), {"metrics": ["recal"]}, "did you mean recall"),
        ((np.full((9, 4, 4), 9, np.uint8), None), {"against": "digits"}, "give --size"),
        ((np.full((9, 8, 8), 9, np.uint8), None), {"against": "digits", "step": 7}, "leave out"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(arguments, how, said, run, digits):
    target = run if isinstance(arguments[0], str) else arguments[0]
    how = {**how, "against": digits} if "against" in how else how
    with pytest.raises(FrenemyError, match=said) as caught:
        judge(target, **how)
    assert "\n" not in str(caught.value)
