"""Methods made again from what a lineage keeps of them."""

import json
from pathlib import Path
from typing import Any

import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.saved import find_function, method_from_json, places


class Oracle:
    """A class with a function that has a name."""

    @staticmethod
    def answer(data: Data) -> list[Any]:
        return [0] * len(data)


def kept(method: Method) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads(json.dumps(method.to_json()))
    return saved


@pytest.mark.parametrize("kind", all_methods().values(), ids=all_methods())
def test_every_method_can_be_made_again(kind: type[Method], tmp_path: Path) -> None:
    method = kind() if kind.method_name() != "merge" else mw.Merge(models=("a", "b"), weights=(1, 2.5))
    again = method_from_json(kept(method))
    assert again == method
    assert again.to_json() == method.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "simclr(temperature=0.2) >> fixmatch(threshold=0.9) >> distill",
        "active-learning(base=self_training(base=linear_probe(penalty=2), rounds=2), questions=3)",
        "sft(lora=2, lora_modules=('q_proj', 'v_proj'))",
    ],
)
def test_methods_within_methods(text: str) -> None:
    method = parse_method(text)
    assert method_from_json(kept(method)) == method


def test_shares_of_a_chain() -> None:
    chain = mw.Chain(stages=(mw.SimCLR(), mw.FineTune()), shares=(2.0, 1.0))
    assert method_from_json(kept(chain)) == chain


def test_functions_are_found_by_their_names() -> None:
    method = mw.ActiveLearning(oracle=Oracle.answer)
    saved = kept(method)
    assert list(places(saved, "function")) == [("oracle", f"{__name__}.Oracle.answer")]
    named = kept(mw.ActiveLearning(oracle=json.dumps))
    assert method_from_json(named).oracle is json.dumps  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="not imported on the word of a file"):
        method_from_json(named, functions=False)
    with pytest.raises(ParameterError, match="without a name"):
        method_from_json(kept(mw.ActiveLearning(oracle=lambda data: [0] * len(data))))
    with pytest.raises(ParameterError, match="oracle is the function nowhere.at_all, which is not to be found"):
        find_function("nowhere.at_all", "oracle")
    with pytest.raises(ParameterError, match="not to be found"):
        find_function("json.nothing.such", "oracle")


def test_models_must_be_given() -> None:
    saved = {**kept(mw.GRPO()), "reward": {"model": "reward-model"}}
    chain = {"name": "chain", "stages": [kept(mw.SFT()), saved], "shares": None}
    assert list(places(chain, "model")) == [("stages[1].reward", "reward-model")]
    with pytest.raises(ParameterError, match=r"stages\[1\].reward was the model reward-model, which must be given"):
        method_from_json(chain)
    found = method_from_json(chain, {"stages[1].reward": None})
    assert found == mw.SFT() >> mw.GRPO()


def test_other_versions_are_refused() -> None:
    saved = kept(mw.KMeans())
    del saved["restarts"]
    with pytest.raises(ParameterError, match="another version of Manyways: its field restarts"):
        method_from_json(saved)
    with pytest.raises(ParameterError, match="There is no method 'kmins'"):
        method_from_json({"name": "kmins"})
