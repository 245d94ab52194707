"""Model: what every kind shares, and what one that cannot do a thing says."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import manyways as mw
from manyways.errors import ModelError
from manyways.methods.discovery import find_method
from manyways.models.abilities import ABILITIES, Embeds, Predicts
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.saving import load_model


@dataclass(frozen=True, eq=False, kw_only=True)
class Mute(Model):
    """A kind of model that can do nothing but be saved."""

    kind: ClassVar[str] = "mute"

    @property
    def metric(self) -> str | None:
        return None

    def evaluate(self, source: Any) -> dict[str, float]:
        return {}

    def write(self, folder: Path) -> dict[str, Any]:
        return {}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> Model:
        return cls(network=nn.Identity(), gives=gives, lineage=lineage)


@pytest.fixture
def mute() -> Mute:
    lineage = Lineage({}, "silence", 0, "", "", "")
    return Mute(network=nn.Linear(3, 2), gives=frozenset({"sing", "dance"}), lineage=lineage)


@pytest.mark.parametrize(
    ("verb", "said"),
    [("predict", "predict"), ("probabilities", "predict"), ("outputs", "predict"), ("embed", "embed")],
)
def test_a_verb_that_a_kind_has_not_is_refused_with_one_that_has(verb: str, said: str, mute: Mute) -> None:
    with pytest.raises(ModelError) as error:
        getattr(mute, verb)(np.zeros((4, 3)))
    assert (
        str(error.value)
        == f"silence gives dance, sing: it cannot {said}. A method whose models can is {ABILITIES.find(said).maker}."
    )


def test_what_has_no_rows_is_no_predictor(mute: Mute) -> None:
    with pytest.raises(ModelError, match="silence gives dance, sing: it cannot embed"):
        mute.as_predictor()


@pytest.mark.parametrize("name", sorted(ABILITIES.all()))
def test_the_method_that_is_named_can_do_it(name: str) -> None:
    ability = ABILITIES.find(name)
    assert find_method(ability.maker).gives & ability.words()


def test_abilities_are_protocols_that_a_model_has_or_has_not(mute: Mute) -> None:
    assert not isinstance(mute, Predicts)
    assert not isinstance(mute, Embeds)
    assert not hasattr(mute, "generate")
    with pytest.raises(AttributeError, match=r"Mute has no 'evaluat'\. Did you mean 'evaluate'\?"):
        _ = mute.evaluat


def test_parameters_are_all_numbers_of_the_network(mute: Mute) -> None:
    assert mute.parameters == 3 * 2 + 2
    normed = Mute(network=nn.BatchNorm1d(4))
    assert normed.parameters == 4 * 4 + 1, "weights, biases, running means, variances and their count"


def test_a_model_is_never_changed(mute: Mute) -> None:
    with pytest.raises(FrozenInstanceError):
        mute.gives = frozenset()  # type: ignore[misc]


def test_fitting_from_a_model_leaves_it_as_it_was() -> None:
    data = mw.read("wine")
    start = mw.Supervised().fit(data, budget=5)
    before = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    further = mw.FineTune().fit(data, start, budget=5)
    for name, tensor in start.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert any(not torch.equal(tensor, before[name]) for name, tensor in further.network.state_dict().items())


def test_a_kind_that_this_version_does_not_know_is_refused(mute: Mute, tmp_path: Path) -> None:
    """Kinds are found in the package; this one is a test's own."""
    with pytest.raises(ModelError, match="There is no model 'mute'; models are adversarial-generator, "):
        load_model(mute.save(tmp_path / "model"))
