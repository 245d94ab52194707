"""The task of a comparison: told by the roles of the data."""

from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.tasks import all_tasks, find_task, task_of
from manyways.errors import DataError, ParameterError
from manyways.metrics import METRICS

pytestmark = pytest.mark.quick

WORDS = ["one and two", "three and four", "five and six", "seven and eight"]
OTHER = [text.upper() for text in WORDS]
TALK = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"text": WORDS, "label": ["a", "b", "a", "b"]}, "classification"),
        ({"text": WORDS, "label": [0.5, 1.5, 2.5, 3.5]}, "regression"),
        ({"prompt": WORDS, "chosen": OTHER, "rejected": WORDS}, "pairs"),
        ({"prompt": WORDS, "completion": OTHER, "chosen": OTHER, "rejected": WORDS, "text": WORDS}, "pairs"),
        ({"prompt": WORDS, "completion": OTHER, "label": [True, False, True, False]}, "judged"),
        ({"prompt": WORDS, "completion": OTHER}, "answers"),
        ({"prompt": WORDS, "completion": OTHER, "text": WORDS}, "answers"),
        ({"messages": [TALK] * 4}, "answers"),
        ({"text": WORDS}, "text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_roles_ask_for_a_task(columns: dict[str, Any], name: str) -> None:
    assert task_of(mw.read(columns)).name == name


def test_test_rows_of_other_classes_ask_for_few_shot_learning() -> None:
    data = mw.read("digits")
    assert task_of(data.with_test_classes(0.3)).name == "few-shot"
    assert task_of(data.with_test(0.3)).name == "classification"
    one_old = data.with_test_classes(0.3)
    kept = one_old.select(np.flatnonzero(one_old.part[one_old.rows] == 0)[:400])
    assert task_of(kept).name == "classification"


def test_without_inputs_or_text_there_is_nothing_to_compare_by() -> None:
    with pytest.raises(DataError, match=r'nothing to compare by\. Name the column to predict, label="…", or those'):
        task_of(mw.read({"prompt": WORDS}))


def test_the_usual_metric_is_one_that_all_entries_share() -> None:
    """Tokens are a common unit only for models that have the same ones."""
    assert find_task("text").usual(shared=False) == "nats_per_character"
    assert find_task("text").usual(shared=True) == "nats_per_token"
    assert find_task("pairs").usual(shared=True) == "preference_accuracy"
    assert find_task("classification").usual(shared=True) == "accuracy"


@pytest.mark.parametrize(
    ("columns", "metric"), [({"text": WORDS}, "accuracy"), ({"x": [0.5, 1.5], "label": [0, 1]}, "perplexity")]
)
def test_a_metric_of_another_task_is_refused(columns: dict[str, Any], metric: str) -> None:
    with pytest.raises(ParameterError, match=f"metric must be one of .*; got '{metric}'"):
        task_of(mw.read(columns), metric)


IMAGES = np.zeros((30, 1, 8, 8), np.uint8)


def test_a_metric_may_ask_for_another_task_than_the_roles() -> None:
    """Images with a label ask for classification, and can be asked to be drawn; with tasks for these in their order."""
    digits = mw.read("digits")
    assert task_of(digits).name == task_of(digits, "log_loss").name == "classification"
    assert task_of(digits, "frechet_distance").name == "generation"
    assert task_of(digits.with_tasks(5)).name == task_of(digits.with_tasks(5), "forgetting").name == "tasks in order"
    assert task_of(digits.with_tasks(5), "accuracy").name == "classification"
    assert task_of(mw.read({"photo": IMAGES})).name == "generation"
    table = mw.read({"x": [0.5, 1.5, 2.5]})
    assert task_of(table, "frechet_distance").name == "generation"
    with pytest.raises(ParameterError, match="metric must be one of silhouette for clustering; got 'accuracy'"):
        task_of(table, "accuracy")


@pytest.mark.parametrize(
    ("metric", "name", "of_labels"),
    [
        ("silhouette", "clustering", False),
        ("nmi", "clustering", True),
        ("ari", "clustering", True),
        ("log_likelihood", "density", False),
        ("bic", "density", False),
        ("explained_variance", "reconstruction", False),
        ("reconstruction_error", "reconstruction", False),
        ("trustworthiness", "layout", False),
        ("knn_accuracy_in_2d", "layout", True),
        ("knn_accuracy", "representation", True),
    ],
)
def test_rows_without_labels_are_compared_by_what_is_learned_of_them(metric: str, name: str, of_labels: bool) -> None:
    """Labels that are there are hidden from methods, and scored by; without them their metrics are refused."""
    digits, table = mw.read("digits"), mw.read({"x": [0.5, 1.5, 2.5], "y": [1.5, 0.5, 2.0]}, label=())
    assert task_of(digits, metric).name == name
    assert not task_of(digits, metric).visible(digits).labelled.any()
    assert task_of(digits, metric).visible(digits).known.all()
    assert task_of(table).name == "clustering"
    if of_labels:
        with pytest.raises(ParameterError, match=f"metric must be one of silhouette for clustering; got '{metric}'"):
            task_of(table, metric)
    else:
        assert task_of(table, metric).name == name


def test_categories_and_several_inputs_have_no_density() -> None:
    table = mw.read({"x": [0.5, 1.5, 2.5, 1.0], "kind": ["a", "b", "a", "b"]}, label=())
    with pytest.raises(ParameterError, match="got 'log_likelihood'"):
        task_of(table, "log_likelihood")
    assert task_of(table, "explained_variance").name == "reconstruction"


def test_of_every_metric_it_is_known_whether_more_is_better() -> None:
    assert {metric for task in all_tasks() for metric in task.metrics} <= set(METRICS)
