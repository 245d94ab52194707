"""Pairs and models that cannot be learned from are refused; the message says which, and what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError
from manyways.methods.preference.dpo import DPO
from manyways.methods.preference.kto import KTO
from manyways.methods.preference.reward_model import RewardModel
from manyways.models.language_model import LanguageModel

METHODS = (DPO, KTO, RewardModel)


@pytest.fixture(params=METHODS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def table(**columns: list[str]) -> Data:
    made = [Column(name, "text", np.array(values, object)) for name, values in columns.items()]
    return Data.from_columns(made, {name: [name] for name in columns})


def test_chosen_equal_to_rejected(kind: Any, reader_of_sums: LanguageModel) -> None:
    data = table(prompt=["1+1=", "2+2="], chosen=["2", "4"], rejected=["3", "4"])
    with pytest.raises(DataError, match=r"1 of 2 pairs whose chosen and rejected answer are the same.*row 1"):
        kind().fit(data, reader_of_sums, budget=1)


@pytest.mark.parametrize("role", ["chosen", "rejected"])
def test_an_empty_answer(kind: Any, reader_of_sums: LanguageModel, role: str) -> None:
    columns = {"prompt": ["1+1=", "2+2="], "chosen": ["2", "4"], "rejected": ["3", "5"]}
    columns[role][1] = "  "
    with pytest.raises(DataError, match=rf"1 of 2 rows whose {role} is empty, the first is row 1"):
        kind().fit(table(**columns), reader_of_sums, budget=1)


def test_an_empty_judged_completion(reader_of_sums: LanguageModel) -> None:
    columns = [
        Column("prompt", "text", np.array(["1+1=", "2+2=", "3+3="], object)),
        Column("completion", "text", np.array(["2", "", "7"], object)),
        Column("label", "category", np.array([True, True, False])),
    ]
    data = Data.from_columns(columns, {column.name: [column.name] for column in columns})
    with pytest.raises(DataError, match="1 of 2 rows whose completion is empty"):
        KTO().fit(data, reader_of_sums, budget=1)


LONG = {"prompt": ["1+" * 20, "1+1=", "2+2="], "chosen": ["2", "2", "4"], "rejected": ["333", "3", "5"]}


def test_prompts_longer_than_the_context(kind: Any, reader_of_sums: LanguageModel) -> None:
    """Refused; cut, the answers stay whole; or left out."""
    data = table(**LONG)
    with pytest.raises(DataError, match=r'1 of 3 rows longer than the 32 tokens.*row 0.*too_long="cut"'):
        kind().fit(data, reader_of_sums, budget=1)
    cut = kind(too_long="cut").begin(data, reader_of_sums, 0).groups[0]
    assert len(cut.prompt) == 32 - len("333") - 1
    said = [reader_of_sums.tokenizer.decode(answer.ids, skip_special_tokens=True) for answer in cut.answers[:2]]
    assert said == ["2", "333"]
    assert len(kind(too_long="skip").begin(data, reader_of_sums, 0).groups) == 2
    for too_long in ("cut", "skip"):
        kind(too_long=too_long, batch_size=2).fit(data, reader_of_sums, budget=1)


def without(start: LanguageModel, folder: Path, *tokens: str) -> str:
    """A folder as transformers writes it, of the model and a tokenizer that lacks the special `tokens`."""
    start.save(folder)
    (folder / "model.json").unlink()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            held = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({key: held[key] for key in held if key not in tokens}))
    return str(folder)


def test_a_tokenizer_without_padding(kind: Any, sums: Data, reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    """The end token pads; what is learned is the same, for padding is not looked at."""
    bare = without(reader_of_sums, tmp_path / "bare", "pad_token")
    method = kind(batch_size=8, learning_rate=1e-4, checkpoint=bare)
    learner = method.begin(sums, None, 0)
    assert learner.padding == learner.tokenizer.eos_token_id
    model = method.fit(sums, budget=2)
    if kind is RewardModel:
        return  # it reads another token then, see its own tests
    whole = kind(batch_size=8, learning_rate=1e-4).fit(sums, reader_of_sums, budget=2)
    for name, tensor in whole.network.state_dict().items():
        np.testing.assert_allclose(model.network.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_tokenizer_without_an_end(kind: Any, sums: Data, reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    bare = without(reader_of_sums, tmp_path / "bare", "eos_token")
    for stated in tmp_path.glob("bare/*config.json"):  # nor does the checkpoint state where generation ends
        held = json.loads(stated.read_text())
        stated.write_text(json.dumps({key: held[key] for key in held if key != "eos_token_id"}))
    with pytest.raises(ModelError, match=r"has no end-of-text token.*tokenizer\.eos_token"):
        kind(checkpoint=bare).fit(sums, budget=1)


@pytest.mark.parametrize("kind", [DPO, RewardModel])
def test_answers_of_which_none_is_preferred(kind: Any, reader_of_sums: LanguageModel) -> None:
    data = table(prompt=["1+1=", "2+2="], completion=["2", "4"])
    with pytest.raises(NeedsError, match=r'chosen="…" and rejected="…", out of prompt, completion'):
        kind().fit(data, reader_of_sums, budget=1)


def test_no_model_to_start_from(kind: Any, sums: Data) -> None:
    with pytest.raises(NeedsError, match=r'starts from a model.*checkpoint="FOLDER"'):
        kind().fit(sums, budget=1)
