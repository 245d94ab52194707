"""Rotation: quarter turns are exact, they are learned where there is an upright, and it is said where there is none."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.rotation import Rotation, turned

from ..steps import Step


@pytest.mark.quick
def test_turns_are_by_quarters_and_no_pixel_is_made_up() -> None:
    images = torch.arange(2 * 3 * 5 * 5, dtype=torch.uint8).view(2, 3, 5, 5)
    batch = turned({"image": images})
    assert batch["turns"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for quarters, part in enumerate(batch["inputs"]["image"].split(2)):
        assert np.array_equal(part.numpy(), np.rot90(images.numpy(), quarters, (2, 3)))


def test_a_whole_step(digits: Data) -> None:
    step = Step(Rotation(batch_size=3), digits.select(np.arange(40)), step=3)
    learner, images = step.by_hand, step.batch["inputs"]["image"]
    assert len(images) == 12
    loss = cross_entropy(learner.turns(learner.network.features({"image": images})), torch.arange(12) // 3)
    step.descend(loss)
    step.agree(loss)


def test_an_upright_is_learned_and_without_one_it_is_said(digits: Data) -> None:
    learned = Rotation(batch_size=16).fit(digits, budget=40, seed=0).lineage.facts
    assert learned["pretext"]["accuracy"] > 0.6
    assert learned["pretext"]["chance"] == 0.25
    assert "caution" not in learned
    noise = np.random.default_rng(0).integers(0, 256, (300, 1, 8, 8), np.uint8)  # as much upright as cells have
    data = Data.from_columns([Column("image", "image", noise)], {"input": ["image"]}, name="noise")
    facts = Rotation(batch_size=16, size=0.25).fit(data, budget=4, seed=0).lineage.facts
    assert facts["pretext"]["accuracy"] < 0.32
    assert "The pretext task was not learned" in facts["caution"]
    assert "Images without an upright" in facts["caution"]


@pytest.mark.quick
def test_images_that_are_not_square_are_refused() -> None:
    wide = np.zeros((20, 3, 8, 12), np.uint8)
    data = Data.from_columns([Column("photo", "image", wide)], {"input": ["photo"]}, name="wide")
    with pytest.raises(NeedsError, match=r"square images.*'photo' have 8 × 12 pixels.*image_size=8"):
        Rotation().fit(data, budget=1)
