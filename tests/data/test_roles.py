"""Roles are checked: known, one column each unless many may share, one role a column."""

import pytest

from manyways.data.roles import ROLES, check_roles
from manyways.errors import DataError, ParameterError, did_you_mean

pytestmark = pytest.mark.quick


def test_given_roles_become_tuples_and_empty_ones_go() -> None:
    found = check_roles(["a", "b", "c"], {"input": ["a", "b"], "label": ["c"], "client": []})
    assert found == {"input": ("a", "b"), "label": ("c",)}


def test_an_unknown_role_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(ParameterError, match=r"There is no role 'lable'; roles are input, label.* mean 'label'\?"):
        check_roles(["a"], {"lable": ["a"]})


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(
        DataError, match=r"no column 'colour' for the role input; columns are color, size\. Did .*'color'"
    ):
        check_roles(["color", "size"], {"input": ["colour"]})
    many = [f"c{at}" for at in range(30)]
    with pytest.raises(DataError, match=r"columns are c0, .*, c19, …\."):
        check_roles(many, {"input": ["nothing like it"]})


def test_a_column_has_one_role() -> None:
    with pytest.raises(DataError, match="The column 'a' has two roles, input and label; give it one"):
        check_roles(["a"], {"input": ["a"], "label": ["a"]})


@pytest.mark.parametrize("role", sorted(name for name, role in ROLES.all().items() if not role.several))
def test_most_roles_take_one_column(role: str) -> None:
    with pytest.raises(DataError, match=f"The role {role} takes one column; got a, b"):
        check_roles(["a", "b"], {role: ["a", "b"]})


def test_only_near_names_are_suggested() -> None:
    assert did_you_mean("weigth", ROLES) == " Did you mean 'weight'?"
    assert did_you_mean("zebra", ROLES) == ""
