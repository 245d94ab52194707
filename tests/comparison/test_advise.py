"""advise: what the data allows."""

import numpy as np
import pytest

import manyways
from manyways.comparison.advise import Advice, advise
from manyways.data.data import Data
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def wine() -> Data:
    return manyways.read("wine")


def by_name(data: Data) -> dict[str, Advice]:
    return {advice.name: advice for advice in advise(data)}


def test_every_method_is_judged_once_possible_ones_first(wine: Data) -> None:
    found = advise(wine)
    assert sorted(advice.name for advice in found) == sorted(all_methods())
    assert [advice.possible for advice in found] == sorted((advice.possible for advice in found), reverse=True)


def test_what_is_possible_can_be_written_and_passes_the_check(wine: Data) -> None:
    for advice in advise(wine.with_labels(12)):
        if advice.possible:
            assert parse_method(advice.write).lacks(wine.with_labels(12)) is None
        else:
            assert not advice.write
            assert advice.reason


def test_semi_supervised_methods_need_unlabelled_rows(wine: Data) -> None:
    before, after = by_name(wine)["fixmatch"], by_name(wine.with_labels(12))["fixmatch"]
    assert not before.possible
    assert "every training row has one" in before.reason
    assert after.possible
    assert after.write == "fixmatch"
    assert after.reason == ""


def test_a_method_that_starts_from_a_model_is_shown_in_a_chain(wine: Data) -> None:
    found = by_name(wine)
    assert found["fine-tune"].write == "simclr >> fine-tune"
    assert found["distill"].write == "supervised >> distill"
    assert "starts from a model that gives predictions" in found["distill"].reason


def test_without_labels_only_methods_that_need_none_are_left() -> None:
    found = by_name(manyways.read("digits", input="image", label=()))
    assert found["simclr"].possible
    assert found["kmeans"].gives == ("cluster",)
    assert not found["supervised"].possible
    # k-means gives no classes without labels, so nothing can teach.
    assert not found["distill"].possible
    assert found["fine-tune"].reason.startswith("it needs labels")


def test_a_regression_lacks_classes() -> None:
    found = by_name(manyways.read("diabetes").with_labels(40))
    assert found["supervised"].gives == ("embed", "regress")
    assert "the label 'label' is a number" in found["fixmatch"].reason
    assert found["mean-teacher"].possible


def test_anything_that_can_be_read_is_taken() -> None:
    generator = np.random.default_rng(0)
    found = advise((generator.normal(size=(60, 3)), generator.integers(0, 2, 60)))
    assert next(advice for advice in found if advice.name == "supervised").possible
