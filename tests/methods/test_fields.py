"""Fields of methods: names that there are not are refused like values out of range, and Python still knows them."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from manyways.errors import ParameterError
from manyways.methods.expressions import parse_method
from manyways.methods.method import Chain
from manyways.methods.semi_supervised.fixmatch import FixMatch
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.linear_probe import LinearProbe


@pytest.mark.parametrize(
    "make",
    [
        lambda: Supervised(learning_rat=0.1),  # type: ignore[call-arg]
        lambda: replace(Supervised(), learning_rat=0.1),  # type: ignore[call-arg]
        lambda: Supervised(batch_size=4, learning_rat=0.1),  # type: ignore[call-arg]
        lambda: parse_method("supervised(learning_rat=0.1)"),
        lambda: SelfTraining(base=Supervised(learning_rat=0.1)),  # type: ignore[call-arg]
    ],
)
def test_an_unknown_field_is_refused_with_those_there_are(make: Callable[[], Any]) -> None:
    with pytest.raises(ParameterError) as error:
        make()
    names = ", ".join(field.name for field in fields(Supervised))
    assert str(error.value) == (
        f"Supervised has no field 'learning_rat'; its fields are {names}. Did you mean 'learning_rate'?"
    )


def test_a_field_of_another_method_is_none_of_this_one() -> None:
    with pytest.raises(ParameterError, match=r"LinearProbe has no field 'threshold'; its fields are penalty\.$"):
        LinearProbe(threshold=0.9)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="Chain has no field 'share'; .* Did you mean 'shares'"):
        Chain(stages=(Supervised(), Supervised()), share=(1, 2))  # type: ignore[call-arg]


def test_a_value_without_a_name_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Supervised takes its fields by name, as in .*\(field=value\); got 0\.1"):
        Supervised(0.1)  # type: ignore[call-arg,misc]


def test_python_knows_the_fields() -> None:
    """Editors, notebooks and scikit-learn ask for the signature."""
    signature = inspect.signature(FixMatch)
    assert list(signature.parameters) == [field.name for field in fields(FixMatch)]
    assert signature.parameters["threshold"].default == FixMatch().threshold


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda method: pickle.loads(pickle.dumps(method))])
def test_a_copy_is_equal(copied: Callable[[Any], Any]) -> None:
    method = SelfTraining(base=FixMatch(threshold=0.5), rounds=2)
    again = copied(method)
    assert again == method
    assert str(again) == str(method)
