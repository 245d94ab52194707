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
from manyways.methods.saved import functions_in, method_from_json, places

pytestmark = pytest.mark.quick


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
    assert list(functions_in(named)) == [("oracle", "json.dumps")]
    given = {"json.dumps": Oracle.answer}
    assert method_from_json(named, functions=given).oracle is Oracle.answer  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="oracle is the function 'json.dumps', which is not imported on the word"):
        method_from_json(named)
    with pytest.raises(ParameterError, match="not imported on the word of a file"):
        method_from_json(named, functions={"json.loads": json.dumps})
    with pytest.raises(ParameterError, match="without a name"):
        method_from_json(kept(mw.ActiveLearning(oracle=lambda data: [0] * len(data))))


def test_a_text_that_names_a_function_is_one(tmp_path: Path) -> None:
    name = "manyways.methods.bases._rewards:likeness"
    chain = {"name": "chain", "stages": [kept(mw.SFT()), kept(mw.GRPO(reward=name))], "shares": None}
    assert list(functions_in(chain)) == [("stages[1].reward", name)]
    with pytest.raises(ParameterError, match=r"stages\[1\].reward is the function 'manyways.*:likeness'"):
        method_from_json(chain)
    found = method_from_json(chain, functions={name: Oracle.answer})
    assert found == mw.SFT() >> mw.GRPO(reward=Oracle.answer)
    strange = {**kept(mw.GRPO()), "reward": "no:such.module", "batch_size": "?:?"}
    assert list(functions_in(strange)) == [("reward", "no:such.module")], "no other field holds code"
    assert list(functions_in({**strange, "reward": str(tmp_path)})) == [], "a folder is that of a model"


@pytest.mark.parametrize("saved", [None, 3, "ridge", [], {}, {"name": 3}, {"name": "chain"}, {"name": ["ridge"]}])
def test_what_is_no_method_is_refused(saved: Any) -> None:
    with pytest.raises(ParameterError):
        method_from_json(saved)


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
