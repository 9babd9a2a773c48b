"""The DBN against enumeration, and its fine-tuning against the rules of the paper's appendix."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from frenemy.data import Source
from frenemy.engine import Engine
from frenemy.errors import FrenemyError
from frenemy.lab.enumeration import probabilities, states
from frenemy.rivals.dbn import DBN, shown_to, up_down
from frenemy.rivals.rbm import bernoulli

from .enumerated import chi_square, given, round_of, scaled

EXACT = {"rtol": 1e-10, "atol": 1e-12}  # of float64, through sums of 2^7 terms


def network(units, *, visible=4, scale=1.0, kind="binary", **more):
    torch.manual_seed(0)
    return scaled(DBN((1, 1, visible), units, kind, **more).double(), scale)


def source_of(visible=4, count=50):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 1, visible), np.uint8)
    return Source(images)


def likelihoods(dbn):
    """p(v) of all states, (2^visible,): that of the highest RBM, led down."""
    p = probabilities(dbn.rbm(-1))
    for rbm in [*dbn.rbms][-2::-1]:
        v, h = states(rbm.W.shape[0]), states(rbm.W.shape[1])
        p = p @ given(rbm.mean_v(h), v)
    return p


def test_a_machine_that_begins_as_the_one_below_it_upside_down_changes_nothing():
    """p(v) stays, and the bound on it by what the layers are drawn from is tight there."""
    dbn = network([3, 4])
    with torch.no_grad():
        dbn.begin(source_of(), 1)
    lower, upper = dbn.rbm(0), dbn.rbm(1)
    before = probabilities(lower)
    assert torch.allclose(likelihoods(dbn), before, **EXACT)
    v, h = states(4), states(3)
    q = given(lower.mean_h(v), h)  # (v, h)
    joint = probabilities(upper).log() + given(lower.mean_v(h), v).T.log()
    bound = (q * (joint - q.log())).sum(1)
    assert torch.allclose(bound, before.log(), **EXACT)


def test_a_machine_of_another_size_begins_with_the_means_of_what_it_is_shown():
    dbn, source = network([3, 5]), source_of(count=400)
    with torch.no_grad():
        dbn.begin(source, 1)
        dbn.rbm(1).W.zero_()
    v = torch.from_numpy(source.images / 255.0).flatten(1)
    mean = dbn.rbm(0).mean_h(v).mean(0)
    # draws of 400 images: 4.5 standard errors, and half an image more of either kind
    error = 4.5 * (mean * (1 - mean) / 400).sqrt() + 1 / 400
    assert ((dbn.rbm(1).b.sigmoid() - mean).abs() < error).all()


def test_samples_follow_the_exact_distribution():
    dbn = network([3, 4, 3])
    torch.manual_seed(1)
    top = dbn.rbm(-1)
    h = top.gibbs(torch.zeros(20_000, 4, dtype=torch.float64), 50)
    means, *_ = dbn.sleep(h)
    p = likelihoods(dbn).detach()
    assert chi2.sf(chi_square(bernoulli(means), p), 15) > 1e-3
    shown = dbn.shown(bernoulli(top.mean_h(h))).flatten(1).add(1).div(2)
    error = shown.std(0) / len(shown) ** 0.5
    assert ((shown.mean(0) - p @ states(4)).abs() < 4.5 * error).all()


def test_a_layer_is_shown_what_those_below_it_make_of_the_data():
    dbn = network([3, 4, 3])
    v = states(4)[[5]].repeat(20_000, 1)
    torch.manual_seed(1)
    rbm, shown = shown_to(2)(round_of("DBN", dbn, v))
    assert rbm is dbn.rbm(2)
    p = given(dbn.rbm(0).mean_h(v[:1]), states(3))
    p = p @ given(dbn.rbm(1).mean_h(states(3)), states(4))
    assert chi2.sf(chi_square(shown, p[0].detach()), 15) > 1e-3


def appendix(dbn, v, k):
    """The changes of every parameter, by the pseudocode of appendix B, for three hidden layers.

    Labels are left out, and the highest units' states are their probabilities where statistics are
    taken. Of persistent chains the top's fantasies are these.
    """

    def logistic(x):
        return 1 / (1 + torch.exp(-x))

    def drawn(p):
        return (torch.rand(*p.shape, dtype=p.dtype) < p).double()

    vis_hid, hid_pen = (linear.weight.T for linear in dbn.recognition)
    hid_rec, pen_rec = (linear.bias for linear in dbn.recognition)
    low, middle, top = dbn.rbms
    hid_vis, pen_hid = low.W.T, middle.W.T
    B = len(v)
    # the bottom-up pass
    wake_hid = drawn(logistic(v @ vis_hid + hid_rec))
    wake_pen = drawn(logistic(wake_hid @ hid_pen + pen_rec))
    wake_top = logistic(wake_pen @ top.W + top.c)
    # Gibbs sampling in the highest RBM
    pen = wake_pen
    if len(top.chains[0]):
        pen = top.chains[0]
    else:
        for _ in range(k):
            pen = drawn(logistic(drawn(logistic(pen @ top.W + top.c)) @ top.W.T + top.b))
    neg_top = logistic(pen @ top.W + top.c)
    # the top-down pass
    sleep_hid = drawn(logistic(pen @ pen_hid + middle.b))
    sleep_vis = logistic(sleep_hid @ hid_vis + low.b)
    # predictions
    p_sleep_pen = logistic(sleep_hid @ hid_pen + pen_rec)
    p_sleep_hid = logistic(sleep_vis @ vis_hid + hid_rec)
    p_vis = logistic(wake_hid @ hid_vis + low.b)
    p_hid = logistic(wake_pen @ pen_hid + middle.b)
    N = len(pen)
    return {
        "rbms.0.W": (wake_hid.T @ (v - p_vis)).T / B,
        "rbms.0.b": (v - p_vis).sum(0) / B,
        "rbms.1.W": (wake_pen.T @ (wake_hid - p_hid)).T / B,
        "rbms.1.b": (wake_hid - p_hid).sum(0) / B,
        "rbms.2.W": wake_pen.T @ wake_top / B - pen.T @ neg_top / N,
        "rbms.2.b": wake_pen.sum(0) / B - pen.sum(0) / N,
        "rbms.2.c": wake_top.sum(0) / B - neg_top.sum(0) / N,
        "recognition.0.weight": (sleep_vis.T @ (sleep_hid - p_sleep_hid)).T / N,
        "recognition.0.bias": (sleep_hid - p_sleep_hid).sum(0) / N,
        "recognition.1.weight": (sleep_hid.T @ (pen - p_sleep_pen)).T / N,
        "recognition.1.bias": (pen - p_sleep_pen).sum(0) / N,
    }


@pytest.mark.parametrize("chains", [0, 6])
def test_fine_tuning_is_the_papers_pseudocode(chains):
    dbn = network([3, 4, 5], chains=chains)
    v = torch.rand(7, 4, dtype=torch.float64).round()
    torch.manual_seed(1)
    with torch.no_grad():
        expected = appendix(dbn, v, k=3)
    torch.manual_seed(1)
    loss = up_down(3)(round_of("DBN", dbn, v))
    assert loss.shape == (7,)
    loss.mean().backward()
    found = {name: -p.grad for name, p in dbn.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **EXACT, msg=name)
    weights, biases = dbn.directed()
    assert {id(p) for p in weights + biases} == {
        id(p) for p in dbn.parameters() if p.grad is not None
    }


def test_untied_recognition_begins_as_the_machines_have_it():
    dbn = network([3, 4, 5])
    with torch.no_grad():
        dbn.untie()
    v = torch.rand(7, 4, dtype=torch.float64)
    h = dbn.rbm(0).mean_h(v)
    assert torch.allclose(dbn.recognition[0](v).sigmoid(), h, **EXACT)
    assert torch.allclose(dbn.recognition[1](h).sigmoid(), dbn.rbm(1).mean_h(h), **EXACT)


def test_gaussian_pixels_are_generated_by_their_density():
    """-log N(v; mean, 1) by torch's own, but for its constant."""
    dbn = network([3, 4], visible=2, scale=0.5, chains=4, kind="gaussian")
    v, h = torch.randn(5, 2, dtype=torch.float64), torch.rand(5, 3, dtype=torch.float64).round()
    normal = torch.distributions.Normal(dbn.rbm(0).mean_v(h), 1.0)
    expected = -normal.log_prob(v).sum(1) - np.log(2 * np.pi)
    assert torch.allclose(dbn.generation([v, h]), expected, **EXACT)


def test_low_precision_learns_all_that_full_precision_does():
    torch.manual_seed(0)
    dbn = DBN((1, 8, 8), [30, 40, 50], chains=20)
    v = torch.rand(20, 64).round()
    gradients = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(1)
        loss = up_down(1)(round_of("DBN", dbn, v, engine=Engine(precision)))
        assert loss.dtype == torch.float32
        weights, biases = dbn.directed()
        gradients[precision] = torch.autograd.grad(loss.mean(), weights + biases)
    for whole, low in zip(*gradients.values(), strict=True):
        assert not torch.equal(low, whole)
        # bfloat16 rounds at 2^-9, and a few draws fall the other way
        assert (low - whole).norm() < 0.1 * whole.norm()


def test_one_layer_is_no_deep_network():
    with pytest.raises(FrenemyError, match="layers is 1: give 2 or more"):
        DBN((1, 2, 2), [3])
