"""Copies in features: planted ones are found, honest sets are not accused, repeats count once."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from frenemy.errors import FrenemyError
from frenemy.judge.feature_copies import FeatureCopying


def cloud(count, seed, d=6):
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def search():
    return FeatureCopying(train=cloud(1000, 0), held_out=cloud(1000, 1))


def test_scores_are_scikit_learns_distances(search):
    fake = cloud(50, 2)
    near = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(cloud(1000, 0).double().numpy())
    distances = torch.from_numpy(near.kneighbors(fake.double().numpy())[0])
    expected = (distances[:, 2] / distances[:, 0]).log()
    # the first may be half of `distances.ROUGH` off, squared
    torch.testing.assert_close(search.scores(fake), expected, rtol=0, atol=1e-3)


def test_features_of_low_precision_are_searched_too():
    train, held_out, fake = (cloud(300, seed).bfloat16() for seed in range(3))
    low = FeatureCopying(train=train, held_out=held_out).of(fake)
    high = FeatureCopying(train=train.float(), held_out=held_out.float()).of(fake.float())
    assert (low.called, low.share) == (high.called, high.share)


@pytest.mark.parametrize("seed", range(100, 120))
def test_honest_samples_are_no_copies(search, seed):
    found = search.of(cloud(500, seed))
    assert not found.certain
    assert found.share.note.startswith("no sign of copying")


def test_planted_copies_are_found_with_their_share(search):
    fake = torch.cat([cloud(900, 3), cloud(1000, 0)[:100] + 1e-2 * cloud(100, 4)])
    found = search.of(fake)
    assert found.certain
    assert found.low < 0.1 < found.high
    assert found.share.note.startswith("copied: ")


def test_a_sample_that_repeats_itself_counts_once(search):
    one = cloud(1000, 0)[:1] + 1e-3  # a copy, but a single one
    assert not search.of(torch.cat([cloud(400, 5), one.repeat(400, 1)])).certain


def test_equal_training_images_do_not_hide_their_copies():
    train = cloud(500, 0).repeat(4, 1)
    found = FeatureCopying(train=train, held_out=cloud(500, 1)).of(train[:300])
    assert found.certain
    assert found.low > 0.95


def test_held_out_images_that_are_training_images_say_nothing():
    train, fresh = cloud(500, 0), cloud(400, 1)
    search = FeatureCopying(train=train, held_out=torch.cat([train, fresh]))
    assert search.usual.threshold == FeatureCopying(train=train, held_out=fresh).usual.threshold
    assert search.of(train[:200]).certain
    with pytest.raises(FrenemyError, match="0 in new_held_out_images: needs 20 or more"):
        FeatureCopying(train=train, held_out=train)


def test_where_few_are_held_out_training_images_stand_in():
    train, fake = cloud(400, 0), torch.cat([cloud(140, 3), cloud(400, 0)[:8] + 1e-4])
    search = FeatureCopying(train=train, held_out=cloud(40, 1))
    assert search.of(fake).certain  # 40 alone could not tell 8 of 148 from chance
    assert not any(search.of(cloud(150, seed)).certain for seed in range(100, 120))


@pytest.mark.parametrize(
    ("train", "held_out", "said"),
    [
        (cloud(7, 0), cloud(30, 1), "7 in train: needs 8"),
        (cloud(1, 0).repeat(30, 1), cloud(30, 1), "1 in different_training_images: needs 8"),
        (cloud(30, 0), cloud(30, 1, d=5), "different shapes"),
    ],
)
def test_too_few_or_others_are_refused(train, held_out, said):
    with pytest.raises(FrenemyError, match=said):
        FeatureCopying(train=train, held_out=held_out)
