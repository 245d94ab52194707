"""The shortlist: which methods a comparison tries where none is named, in which order and why."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import manyways as mw
from manyways.comparison import shortlist as module
from manyways.comparison.compare import compare
from manyways.comparison.comparison_plan import make_plan
from manyways.comparison.results import Comparison
from manyways.comparison.shortlist import MOST, Shortlist, everything, pace, shortlist
from manyways.comparison.tasks import task_of
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import ParameterError
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.recommendations import ENOUGH_TO_READ, Recommendation
from manyways.methods.supervised.supervised import Supervised
from manyways.training.budget import Budget


def of(data: Data) -> Shortlist:
    return shortlist(data, task_of(data))


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits")


@pytest.fixture(scope="module")
def sentences() -> Data:
    rng = np.random.default_rng(0)
    words = {"good": ["fine", "warm", "bright"], "bad": ["cold", "dull", "grim"]}
    labels = ["good", "bad"] * (ENOUGH_TO_READ // 2 + 100)
    texts = [" ".join(rng.choice([*words[label], "the", "film", "was", "a", "day"], 6)) for label in labels]
    return mw.read({"text": texts, "label": labels}, label="label", kinds={"text": "text"})


@pytest.mark.quick
def test_it_is_short_quickest_first_and_has_reasons(digits: Data) -> None:
    few = digits.with_labels(40)
    listed = of(few)
    texts = list(map(str, listed.methods))
    assert 10 <= len(texts) <= MOST < len(everything(few, task_of(few)))
    assert {"supervised", "fixmatch", "nearest-neighbours"} <= set(texts)
    paces = [pace(method) for method in listed.methods]
    assert paces == sorted(paces)
    assert paces[0] == 0 < paces[-1]
    assert set(listed.reasons) == set(texts)
    assert all(len(reason.split()) > 3 for reason in listed.reasons.values())
    assert not listed.notes()


@pytest.mark.quick
def test_everything_holds_the_shortlist_and_those_without_a_place(digits: Data) -> None:
    few = digits.with_labels(40)
    listed, all_texts = of(few), list(map(str, everything(few, task_of(few))))
    assert all_texts[0] == "supervised"
    assert sorted([*map(str, listed.methods), *listed.others]) == sorted(all_texts)


@pytest.mark.quick
def test_networks_that_must_learn_to_read_are_left_out_below_enough_labels(sentences: Data) -> None:
    few, many = of(sentences.with_labels(200)), of(sentences.with_labels(ENOUGH_TO_READ))
    assert "supervised" not in map(str, few.methods)
    assert "naive-bayes" in map(str, few.methods)
    ((reason, names),) = few.left_out.items()
    assert {"supervised", "fixmatch", "self-training", "simclr >> fine-tune"} <= set(names)
    assert "from 200 labels" in reason
    assert few.notes() == [f"Left out: {', '.join(names)}, as {reason}."]
    assert "supervised" in map(str, many.methods)
    assert not many.left_out


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "scratch"),
    [
        ("supervised", True),
        ("supervised(backbone='owner/name')", False),
        ("fixmatch(backbone='says=owner/name,photo=resnet')", False),
        ("self-training", True),
        ("self-training(base=ridge)", False),
        ("self-training(base=supervised(backbone='owner/name'))", False),
        ("simclr >> fine-tune", True),
        ("fine-tune", False),
        ("masked-lm >> fine-tune", True),
        ("masked-lm(checkpoint='owner/name') >> fine-tune", False),
        ("ridge", False),
    ],
)
def test_networks_of_random_weights_are_told_from_pretrained_ones(text: str, scratch: bool) -> None:
    assert parse_method(text).from_scratch() is scratch


@pytest.mark.quick
def test_where_all_are_left_out_none_is(sentences: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "all_methods", lambda: {"supervised": Supervised})
    listed = of(sentences.with_labels(200))
    assert list(map(str, listed.methods)) == ["supervised"]
    assert not listed.left_out


@pytest.mark.quick
def test_a_method_says_itself_where_it_stands(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new method needs no table but its own: its rank, its reason, or neither."""
    assert "supervised(size=2.0)" not in of(digits).reasons

    @dataclass(frozen=True, kw_only=True)
    class Wide(Supervised):
        """A wide network.

        More is more.
        """

        suggests: ClassVar = ("supervised(size=2.0)",)
        recommends: ClassVar = {"image": Recommendation("wide enough for images", 1)}

    monkeypatch.setattr(module, "all_methods", lambda: {**all_methods(), "wide": Wide})
    assert of(digits).reasons["supervised(size=2.0)"] == "wide enough for images"
    monkeypatch.setattr(Wide, "recommends", {})
    listed = shortlist(digits, task_of(digits), most=100)
    assert listed.reasons["supervised(size=2.0)"] == "A wide network"
    assert listed.makers["supervised(size=2.0)"] == Wide.method_name()


@pytest.mark.quick
def test_a_plan_takes_the_shortlist_all_or_what_is_named(digits: Data) -> None:
    def methods(given: object) -> list[str]:
        return list(make_plan(digits, given, 40, Budget.of("5 steps"), 1, None, Splitting(), 0).methods)  # type: ignore[arg-type]

    few = digits.with_labels(40, 0)
    assert methods(None) == list(map(str, of(few).methods))
    assert methods("all") == list(map(str, everything(few, task_of(few))))
    assert methods(["ridge"]) == ["ridge"]
    with pytest.raises(ParameterError, match="methods must be a list, or 'all'; got the text 'ridge'"):
        compare(digits, methods="ridge")  # type: ignore[arg-type]


def test_entries_say_why_they_are_there(monkeypatch: pytest.MonkeyPatch, sentences: Data) -> None:
    two = {name: kind for name, kind in all_methods().items() if name in ("naive-bayes", "supervised")}
    monkeypatch.setattr(module, "all_methods", lambda: two)
    found = compare(sentences, labels=20, budget="2 steps", seeds=1, workers=0)
    assert [entry.reason for entry in found.entries if not entry.reference] == list(
        of(sentences.with_labels(20)).reasons.values()
    )
    assert found.conclusion is not None
    assert any(caution.startswith("Left out: ") for caution in found.conclusion.cautions)
    assert Comparison.from_json(found.to_json()) == found
    named = compare(sentences, methods=["naive-bayes"], labels=20, budget="2 steps", seeds=1, workers=0)
    assert not any(entry.reason for entry in named.entries)


@pytest.mark.quick
def test_the_number_of_labels_decides_where_boosted_trees_stand() -> None:
    """With 20 labels no leaf can be split; with all of a small table they come first."""
    wine = mw.read("wine")
    assert next(iter(of(wine).reasons)) == "gradient-boosting"
    few = of(wine.with_labels(20))
    assert next(iter(few.reasons)) == "linear"
    assert "at its best from 100 labels on" in few.reasons["gradient-boosting"]
    assert "gradient-boosting" in of(mw.read("digits").with_labels(40)).others
