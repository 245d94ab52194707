"""Deep CORAL: the distance of covariances against numpy's, and a whole step of it."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.methods.transfer.coral import CORAL, coral_loss, covariance

from ..bases.test_domains import prints
from ..steps import Step


@pytest.mark.quick
def test_the_covariance_is_numpys_and_the_distance_that_of_the_paper() -> None:
    first, second = torch.randn(2, 9, 4, dtype=torch.float64).unbind()
    ours, theirs = np.cov(first.numpy(), rowvar=False), np.cov(second.numpy(), rowvar=False)
    np.testing.assert_allclose(covariance(first).numpy(), ours)
    assert float(coral_loss(first, second)) == pytest.approx(((ours - theirs) ** 2).sum() / (4 * 4**2))
    assert float(coral_loss(first, first + 3)) == pytest.approx(0), "means may differ"
    assert float(coral_loss(first, 2 * first)) == pytest.approx((9 * ours**2).sum() / 64)


def test_a_whole_step() -> None:
    method = CORAL(batch_size=8, backbone="vit", size=0.25, weight=7.0, precision="float32")
    step = Step(method, prints(0.3, 120))
    learner, batch = step.by_hand, step.batch
    features = learner.network.features(batch["inputs"])
    centred = [part - part.mean(0) for part in features[8:].split(4)]
    apart = centred[0].T @ centred[0] / 3 - centred[1].T @ centred[1] / 3
    distance = apart.square().sum() / (4 * features.shape[1] ** 2)
    loss = cross_entropy(learner.network.head(features[:8]), batch["labels"]) + 7 * distance
    step.descend(loss)
    step.agree(loss)
