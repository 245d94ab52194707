"""Fields of methods: names that there are not are refused like values out of range, and Python still knows them."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.chain import Chain
from manyways.methods.expressions import parse_method
from manyways.methods.fields import Share
from manyways.methods.method import Learned, Method
from manyways.methods.semi_supervised.fixmatch import FixMatch
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.starts import needs_data
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@pytest.mark.quick
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


@pytest.mark.quick
def test_a_field_of_another_method_is_none_of_this_one() -> None:
    with pytest.raises(
        ParameterError, match=r"LinearProbe has no field 'threshold'; its fields are backbone, penalty, class_weight\.$"
    ):
        LinearProbe(threshold=0.9)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="Chain has no field 'share'; .* Did you mean 'shares'"):
        Chain(stages=(Supervised(), Supervised()), share=(1, 2))  # type: ignore[call-arg]


@pytest.mark.quick
def test_a_value_without_a_name_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Supervised takes its fields by name, as in .*\(field=value\); got 0\.1"):
        Supervised(0.1)  # type: ignore[call-arg,misc]


@pytest.mark.quick
def test_python_knows_the_fields() -> None:
    """Editors, notebooks and scikit-learn ask for the signature."""
    signature = inspect.signature(FixMatch)
    assert list(signature.parameters) == [field.name for field in fields(FixMatch)]
    assert signature.parameters["threshold"].default == FixMatch().threshold


@pytest.mark.quick
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda method: pickle.loads(pickle.dumps(method))])
def test_a_copy_is_equal(copied: Callable[[Any], Any]) -> None:
    method = SelfTraining(base=FixMatch(threshold=0.5), rounds=2)
    again = copied(method)
    assert again == method
    assert str(again) == str(method)


@dataclass(frozen=True, kw_only=True)
class Several(Method):
    """A method with fields of several values, which learns from nothing."""

    names: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()

    needs: ClassVar = ()
    gives: ClassVar = frozenset({"embed"})

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        return Learned(KMeans(clusters=2).fit("wine"), np.zeros(len(data), bool))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"names": ["a"]}, r"Several\.names must be a tuple of values, such as \(a, b\); got \['a'\]\."),
        ({"names": ("a", 3)}, r"Several\.names\[1\] must be text; got 3\."),
        ({"shares": (0.5, 1.5)}, r"Several\.shares\[1\] must be in \[0, 1\]; got 1\.5\."),
        ({"shares": (float("nan"),)}, r"Several\.shares\[0\] must be a number; got NaN\."),
    ],
)
def test_several_values_are_checked_one_by_one(fields: dict[str, Any], message: str) -> None:
    assert Several(names=("a", "b"), shares=(0.5, 1)).names == ("a", "b")
    with pytest.raises(ParameterError, match=message):
        Several(**fields)


@dataclass(frozen=True, kw_only=True)
class Either(Several):
    """A method with a field that is a number below one, a word, or a function."""

    what: Share | str | Callable[[], int] | None = None


@pytest.mark.quick
def test_a_field_of_several_kinds_takes_each_and_refuses_others_with_all_that_is_allowed() -> None:
    for value in (0.5, "half", int, None):
        assert Either(what=value).what == value
    with pytest.raises(
        ParameterError, match=r"^Either\.what must be a number, or text, or a function; got \(1, 2\)\.$"
    ):
        Either(what=(1, 2))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"^Either\.what must be in \[0, 1\], or text, or a function; got 1\.5\.$"):
        Either(what=1.5)


def test_a_method_that_needs_nothing_is_fitted_without_data() -> None:
    model = Several().fit(budget=3)
    assert (model.lineage.data, len(model.lineage.rows), model.lineage.budget) == ("no data", 0, "3 steps")
    assert Several().fit("wine").lineage.data == "wine"
    assert not needs_data(Several())
    assert needs_data(Several() >> FineTune())


def test_a_method_that_needs_data_says_so() -> None:
    with pytest.raises(NeedsError, match=r"supervised cannot learn from no data: it needs an input column and some"):
        Supervised().fit()
    with pytest.raises(NeedsError, match=r"no data is given\. Name it: fit\(data\)"):
        (Several() >> FineTune()).fit()
