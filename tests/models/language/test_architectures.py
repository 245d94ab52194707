"""Every architecture is read as its own forward pass reads it: packed or not, saved and opened again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.data.read import read
from manyways.methods.language.sft import SFT
from manyways.models.language.probe import packs
from manyways.models.language_model import LanguageModel, from_checkpoint

from .architectures import ALONE, PACKING, small

pytestmark = pytest.mark.filterwarnings("ignore")  # what transformers has to say of kernels that are not installed

QUESTIONS = ["ab", "cde+12", "a", "hg=ih=f5 01+2=34"]
ANSWERS = ["cdefghij", "34=46", "5", "b+a=c 0"]


@pytest.fixture(scope="module")
def answered() -> Data:
    """Prompts with answers, some longer than the windows of attention."""
    return read(
        {"prompt": QUESTIONS * 2, "completion": ANSWERS + ANSWERS[::-1]}, prompt="prompt", completion="completion"
    )


@pytest.fixture(scope="module", params=[*PACKING, *ALONE])
def folder(request: pytest.FixtureRequest, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each architecture, as transformers saves it."""
    place = tmp_path_factory.mktemp("checkpoint") / request.param
    small(request.param, tokenizer).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def plain_nats(place: Path, data: Data) -> float:
    """Mean nats of the answers' tokens by transformers alone: its own loss, one sequence at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place)
    network: Any = AutoModelForCausalLM.from_pretrained(place).eval()
    nats, tokens = 0.0, 0
    for prompt, answer in zip(data.take("prompt"), data.take("completion"), strict=True):
        before, behind = (tokenizer(str(text), add_special_tokens=False)["input_ids"] for text in (prompt, answer))
        answer_ids = [*behind, tokenizer.eos_token_id]
        ids = torch.tensor([[*before, *answer_ids]])
        labels = ids.clone()
        labels[0, : len(before)] = -100
        with torch.no_grad():
            nats += float(network(input_ids=ids, labels=labels).loss) * len(answer_ids)
        tokens += len(answer_ids)
    return nats / tokens


def test_an_answer_is_as_probable_as_transformers_says(folder: Path, answered: Data) -> None:
    model = from_checkpoint(str(folder))
    assert packs(model.network) == (folder.name in PACKING)
    expected = plain_nats(folder, answered)
    assert model.evaluate(answered)["nats_per_token"] == pytest.approx(expected, abs=1e-4, rel=1e-4)


def test_running_text_is_as_probable_as_transformers_says(folder: Path) -> None:
    model, texts = from_checkpoint(str(folder)), ["abc def 012345 j+i=h", "gh=0"]
    ids = np.asarray(model.reader().texts(read({"text": texts}, text="text")).values, np.int64)
    with torch.no_grad():
        expected = float(model.network(input_ids=torch.from_numpy(ids)[None], labels=torch.from_numpy(ids)[None]).loss)
    found = model.evaluate(read({"text": texts}, text="text"))
    assert found["nats_per_token"] == pytest.approx(expected, abs=1e-4, rel=1e-4)


def test_what_is_generated_does_not_depend_on_the_other_prompts(folder: Path) -> None:
    model = from_checkpoint(str(folder))
    together = model.generate(QUESTIONS, longest=12)
    assert together == [model.generate(question, longest=12)[0] for question in QUESTIONS]
    network, tokenizer = model.network, model.tokenizer
    said = torch.tensor([tokenizer(QUESTIONS[1], add_special_tokens=False)["input_ids"]])
    before = said.shape[1]
    with torch.no_grad():
        for _ in range(12):  # the whole sequence again for every token
            said = torch.cat([said, network(input_ids=said).logits[:, -1].argmax(1)[:, None]], 1)
            if int(said[0, -1]) == tokenizer.eos_token_id:
                break
    assert together[1] == tokenizer.decode(said[0, before:], skip_special_tokens=True)


@pytest.mark.parametrize("name", ["gpt_oss", "mistral", "granite", "mamba2", "bloom", "lfm2"])
def test_what_was_learned_is_there_in_transformers(name: str, tokenizer: Any, answered: Data, tmp_path: Path) -> None:
    """A network that saw the answers while it learned would be good here and nowhere else."""
    small(name, tokenizer).save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    before = from_checkpoint(str(tmp_path / "start")).evaluate(answered)["nats_per_token"]
    model = SFT(checkpoint=str(tmp_path / "start"), learning_rate=3e-3).fit(answered, budget=25)
    assert isinstance(model, LanguageModel)
    model.save(tmp_path / "model")
    found = model.evaluate(answered)["nats_per_token"]
    assert found < before - 0.5
    assert plain_nats(tmp_path / "model", answered) == pytest.approx(found, abs=1e-4)
