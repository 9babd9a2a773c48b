"""Classes by neighbours: scikit-learn's, and no image votes for itself."""

import torch
from sklearn.neighbors import KNeighborsClassifier

from frenemy.judge.neighbour_classes import classes_by_neighbours

from .clouds import cloud


def test_they_are_scikit_learns():
    real, fake = cloud(300, 4), cloud(200, 4, seed=1)
    labels = (real[:, 0] > 0).long() + (real[:, 1] > 0).long()
    found, _ = classes_by_neighbours(real=real, labels=labels, fake=fake)
    sklearn = KNeighborsClassifier(5).fit(real.numpy(), labels.numpy())
    votes = torch.from_numpy(sklearn.predict_proba(fake.numpy()))
    clear = votes.max(1).values > 0.5  # ties the nearest decides, there the first class
    assert clear.sum() > 150
    assert torch.equal(found[clear], votes.argmax(1)[clear])


def test_no_image_votes_for_itself():
    real = torch.cat([torch.zeros(6, 1), torch.tensor([[10.0]])])
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1])
    _, again = classes_by_neighbours(real=real, labels=labels, fake=real)
    assert again.tolist() == [0] * 7


def test_the_nearest_decides_ties():
    real = torch.tensor([[1.0], [2.0], [-3.0], [-4.0], [50.0], [60.0]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    fake, _ = classes_by_neighbours(real=real, labels=labels, fake=torch.tensor([[0.0], [-2.0]]))
    assert fake.tolist() == [0, 1]
