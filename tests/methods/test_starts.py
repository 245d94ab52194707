"""Starts: which methods make the model that another starts from."""

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.expressions import parse_method
from manyways.methods.starts import given, last, stages, starts


@pytest.fixture(scope="module")
def arithmetic() -> Data:
    return mw.read("arithmetic")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ({"embed"}, "simclr"),
        ({"classify", "regress"}, "supervised"),
        ({"cluster"}, "kmeans"),
        ({"generate"}, "pretrain"),
        ({"fill"}, "masked-lm"),
    ],
)
def test_the_plainest_method_that_gives_it_comes_first(wanted: set[str], first: str) -> None:
    found = starts(frozenset(wanted))
    assert str(found[0]) == first
    for start in found:
        assert given(start) & wanted
        assert not start.needs_start()


def test_only_what_the_data_allows_is_a_start(arithmetic: Data) -> None:
    assert [str(start) for start in starts(frozenset({"embed"}), arithmetic)][:2] == ["masked-lm", "pretrain"]
    assert starts(frozenset({"classify"}), arithmetic) == []
    digits = mw.read("digits")
    assert "fixmatch" not in map(str, starts(frozenset({"embed"}), digits))
    assert "fixmatch" in map(str, starts(frozenset({"embed"}), digits.with_labels(40, draw="stratified")))


@pytest.mark.quick
def test_a_chain_is_a_start_where_no_single_method_is() -> None:
    """Fine-tuning gives classes and starts from features; it is not needed where one method gives both."""
    found = list(map(str, starts(frozenset({"classify"}))))
    assert "simclr >> fine-tune" in found
    single = [" >> " not in name for name in found]
    assert single == sorted(single, reverse=True)
    assert "simclr >> fine-tune" not in map(str, starts(frozenset({"classify"}), longest=1))


@pytest.mark.quick
def test_nothing_gives_what_no_method_gives() -> None:
    assert starts(frozenset({"sing"})) == []


@pytest.mark.quick
def test_without_labels_nothing_learns_to_predict_them(arithmetic: Data) -> None:
    unlabelled = mw.read("digits").hide(np.arange(1797))
    assert given(parse_method("kmeans"), unlabelled) == {"cluster"}
    assert given(parse_method("simclr >> fixmatch"), unlabelled) == {"embed"}
    assert given(parse_method("supervised"), mw.read("diabetes")) == {"regress", "embed"}


@pytest.mark.quick
def test_the_stages_of_a_chain_are_those_of_its_parts_too() -> None:
    chain = mw.Chain(stages=(mw.SimCLR(), parse_method("fixmatch >> distill")), shares=(1.0, 2.0))
    assert list(map(str, stages(chain))) == ["simclr", "fixmatch", "distill"]
    assert str(last(chain)) == "distill"
    assert stages(mw.SimCLR()) == (mw.SimCLR(),)


def test_what_lacks_a_start_names_one_that_the_data_allows(arithmetic: Data) -> None:
    with pytest.raises(NeedsError, match=r'name one, checkpoint="FOLDER", or chain it: pretrain >> sft\.'):
        mw.SFT().fit(arithmetic)
    with pytest.raises(NeedsError, match=r"it starts from a model; chain it: simclr >> fine-tune\."):
        mw.FineTune().fit("wine")


@pytest.mark.quick
def test_a_link_that_does_not_hold_names_what_would() -> None:
    with pytest.raises(NeedsError, match="such as pretrain >> sft"):
        mw.SimCLR() >> mw.SFT()
