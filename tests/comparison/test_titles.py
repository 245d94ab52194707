"""Titles call a checkpoint by its name; names keep what one must type."""

import pytest

from manyways.comparison.titles import checkpoint_names, checkpoint_places, titles
from manyways.methods.expressions import parse_method

pytestmark = pytest.mark.quick


def title(text: str) -> str:
    method = parse_method(text)
    return titles({str(method): method})[str(method)]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("fixmatch(threshold=0.8)", "fixmatch(threshold=0.8)"),
        ("simclr >> fixmatch", "simclr >> fixmatch"),
        ("fine-tune(backbone='/models/all-MiniLM-L6-v2')", "fine-tune (all-MiniLM-L6-v2)"),
        ("fine-tune(backbone='/models/all-MiniLM-L6-v2/')", "fine-tune (all-MiniLM-L6-v2)"),
        ("fine-tune(backbone='owner/mini', learning_rate=0.01)", "fine-tune (mini, learning_rate=0.01)"),
        ("fine-tune(backbone='text=a/mini,image=convnet')", "fine-tune (text=mini)"),
        ("fine-tune(backbone='/runs/lr=0.1/mini')", "fine-tune (mini)"),
        ("fine-tune(backbone='/cache/models--owner--mini/snapshots/8b3219a9')", "fine-tune (mini)"),
        ("self-training(base=fine-tune(backbone='a/mini'))", "self-training(base=fine-tune (mini))"),
        ("simclr(backbone='a/mini') >> linear-probe", "simclr (mini) >> linear-probe"),
    ],
)
def test_a_checkpoint_is_called_by_its_name(typed: str, shown: str) -> None:
    assert title(typed) == shown


def test_two_checkpoints_of_one_name_are_told_apart() -> None:
    methods = [
        parse_method(f"fine-tune(backbone='/{place}')") for place in ("x/a/mini", "x/b/mini", "y/b/mini", "z/other")
    ]
    assert list(titles({str(method): method for method in methods}).values()) == [
        "fine-tune (a/mini)",
        "fine-tune (x/b/mini)",
        "fine-tune (y/b/mini)",
        "fine-tune (other)",
    ]


def test_one_checkpoint_written_twice_has_one_name() -> None:
    assert checkpoint_names(["/a/mini", "/a/mini/"]) == {"/a/mini": "mini", "/a/mini/": "mini"}


def test_a_folder_that_ends_another_keeps_its_whole_name() -> None:
    assert checkpoint_names(["/b/mini", "/a/b/mini"]) == {"/b/mini": "b/mini", "/a/b/mini": "a/b/mini"}


def test_checkpoints_are_found_in_saved_fields() -> None:
    saved = parse_method("simclr(backbone='a/mini') >> self-training(base=fine-tune(backbone='/b/maxi'))").to_json()
    assert list(checkpoint_places(saved)) == ["a/mini", "/b/maxi"]
