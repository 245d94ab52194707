"""Domains: where rows come from, which have labels, and what is scored."""

from dataclasses import replace

import numpy as np
import pytest

from manyways.comparison.comparison_plan import make_plan
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.domains import Domains, scored_on_targets
from manyways.data.splitting import Splitting
from manyways.errors import DataError
from manyways.training.budget import Budget

pytestmark = pytest.mark.quick


def rows(*names: str, label: str = "category") -> Data:
    """120 rows of two numbers, in turns of the domains `names`."""
    rng = np.random.default_rng(0)
    classes = np.arange(120) // 2 % 2
    values = np.array(["no", "yes"], object)[classes] if label == "category" else classes + 0.5
    columns = [
        Column("x", "number", rng.normal(size=120)),
        Column("y", "number", rng.normal(size=120)),
        Column("label", label, values),  # type: ignore[arg-type]
        Column("place", "category", np.array([names[at % len(names)] for at in range(120)], object)),
    ]
    roles = {"input": ["x", "y"], "label": ["label"], "domain": ["place"]}
    return Data.from_columns(columns, roles, name="places")


@pytest.mark.parametrize("label", ["category", "number"])
def test_the_target_loses_its_labels_but_for_test_rows(label: str) -> None:
    data = rows("here", "there", label=label)
    adapted = data.with_target_domain("there", share=0.4)
    of_target = adapted.take("place") == "there"
    assert len(adapted) == 120
    assert len(adapted.test) == 24
    assert (adapted.test.take("place") == "there").all()
    assert adapted.test.known.all()
    assert (adapted.known == ~of_target | (adapted.part[adapted.rows] == 2)).all()
    assert adapted.training.labelled.sum() == 60
    assert adapted.label_kind == data.label_kind
    assert Domains.of(adapted.training).targets == (1,)
    shown = adapted.with_labels(20)
    assert set(shown.training.select(shown.training.labelled).take("place")) == {"here"}


def test_test_rows_of_its_own_stay_and_those_of_others_leave() -> None:
    data = rows("here", "there", "far").with_test(0.5)
    own = data.test.select(data.test.take("place") == "far")
    adapted = data.with_target_domain("far")
    assert np.array_equal(adapted.test.ids, own.ids)
    assert len(adapted.training) == 60
    assert len(adapted) == 60 + len(own)


def test_a_comparison_scores_the_target() -> None:
    """The file has no labels of its target to learn from, and test rows of both."""
    data = rows("here", "there").with_test(0.3)
    there = data.take("place") == "there"
    blank = data.with_target_domain("there")
    with_both = replace(blank, rows=data.rows)
    assert set(with_both.test.take("place")) == {"here", "there"}
    plan = make_plan(with_both, ["supervised"], None, Budget(10, "steps"), 1, None, Splitting(), 1)
    assert set(plan.data.test.take("place")) == {"there"}
    assert len(plan.data.test) == int((there & (data.part[data.rows] == 2)).sum())


def test_where_every_domain_has_labels_all_are_scored() -> None:
    data = rows("here", "there").with_test(0.3)
    assert scored_on_targets(data) is data


def test_a_target_that_cannot_be_scored_is_refused() -> None:
    blank = rows("here", "there").with_target_domain("there")
    untested = blank.select(blank.part[blank.rows] == 0)
    with pytest.raises(DataError, match=r"No test row of the target domain 'there' in 'place' has a label to score by"):
        make_plan(untested, ["supervised"], None, Budget(10, "steps"), 1, None, Splitting(), 1)


def test_what_is_no_domain_is_refused() -> None:
    with pytest.raises(DataError, match=r"no domain 'theer' in the column 'place'; domains are here, there\. Did you"):
        rows("here", "there").with_target_domain("theer")
    with pytest.raises(DataError, match="All rows of places are of the domain 'here'"):
        rows("here").with_target_domain("here")
    data = rows("here", "there")
    nowhere = Data.from_columns(list(data.columns.values())[:3], {"input": ["x"], "label": ["label"]}, name="no places")
    with pytest.raises(DataError, match="no places has no column that says where a row comes from"):
        nowhere.with_target_domain("here")
    values = data.take("place")
    values[5] = None
    gap = Data.from_columns(
        [*list(data.columns.values())[:3], Column("place", "category", values)], data.roles, name="places"
    )
    with pytest.raises(DataError, match="1 of 120 rows of places have no domain in the column 'place'"):
        Domains.of(gap)
