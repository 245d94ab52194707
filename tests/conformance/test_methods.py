"""Every method found, and some chains, are held to every promise."""

from collections.abc import Callable
from pathlib import Path

import pytest

from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.merging.merge import Merge
from manyways.methods.method import Method
from manyways.methods.supervised.supervised import Supervised
from manyways.testing import checks_for, promises_documentation, promises_fields
from manyways.testing.label_rows import LABEL_KINDS

CHAINS = (
    "simclr >> fine-tune",
    "simclr(batch_size=32) >> fixmatch >> distill(size=0.5)",
    "sft(lora=2, batch_size=4)",
    "pretrain(tokenizer='bytes', context=64, size=0.2, batch_size=4) >> dpo(batch_size=4)",
)
TESTS = Path(__file__).parents[1]
OF_WORDS = {*vars(promises_documentation), *vars(promises_fields)}
"""Among others the names of the promises that train nothing."""


EVERY = 4
"""Of the kinds of labels every method is tried on one in so many, by turns; `make slow` tries it on the others."""


def _marks(method: type[Method] | Method, place: int, name: str) -> list[pytest.MarkDecorator]:
    if name in OF_WORDS and method is not Merge:  # it trains what it merges
        return [pytest.mark.quick]
    kinds = [number for number, kind in enumerate(LABEL_KINDS) if name.endswith(f" on {kind}")]
    by_turns = method is not Supervised and any((place + number) % EVERY for number in kinds)
    return [pytest.mark.slow] if by_turns else []


def _cases() -> list[object]:
    methods: list[type[Method] | Method] = [*all_methods().values(), *map(parse_method, CHAINS)]
    return [
        pytest.param(
            check,
            id=f"{method.method_name() if isinstance(method, type) else method}: {name}",
            marks=_marks(method, place, name),
        )
        for place, method in enumerate(methods)
        for name, check in checks_for(method)
    ]


@pytest.mark.parametrize("check", _cases())
def test_promise(check: Callable[[], None]) -> None:
    check()


@pytest.mark.quick
@pytest.mark.parametrize("method", all_methods().values(), ids=all_methods())
def test_has_tests_of_its_own_signal(method: type[Method]) -> None:
    *_, paradigm, name = method.__module__.split(".")
    file = TESTS / "methods" / paradigm / f"test_{name}.py"
    assert file.is_file(), f"{method.__name__} has no {file} that shows its defining signal"
    assert method.__name__ in file.read_text(encoding="utf-8"), f"{file} does not mention {method.__name__}"
