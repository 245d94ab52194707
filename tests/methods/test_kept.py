"""Which network a gradient method's model keeps, of those that it holds while it learns."""

from operator import attrgetter

import pytest
import torch

from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.discovery import all_methods
from manyways.testing import Trial
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

AVERAGES = {"fixmatch": "average.network", "mean-teacher": "teacher.network", "gan": "average.network"}
"""Where it is not the one that steps are taken on."""
KINDS = {name: kind for name, kind in all_methods().items() if issubclass(kind, GradientMethod)}


@pytest.mark.parametrize("name", KINDS)
def test_the_network_that_is_kept(name: str) -> None:
    trial = Trial(KINDS[name])
    method = trial.method
    assert isinstance(method, GradientMethod)
    learner = method.begin(trial.data, trial.start, 0)
    learner.train()
    learner.milestones(4)
    method.prepare(learner)
    optimizer = make_optimizer(method, learner)
    for step in range(4):
        take_step(method, learner, optimizer, step, 4, 0)
    kept = list(method.finish(learner).parameters())
    expected = list(attrgetter(AVERAGES.get(name, "network"))(learner).parameters())
    assert all(map(torch.equal, kept, expected))
    if name in AVERAGES:
        assert not all(map(torch.equal, kept, learner.network.parameters())), "the average does not trail"
