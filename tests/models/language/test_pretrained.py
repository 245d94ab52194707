"""A real language model, quantised in a .gguf file: it opens, answers, stops, and is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import manyways as mw
from manyways.errors import ModelError
from manyways.models.language.probe import packs
from manyways.models.language_model import LanguageModel, from_checkpoint

pytest.importorskip("gguf")
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def smol(real_model: Callable[[str], Path]) -> LanguageModel:
    """SmolLM2-135M-Instruct."""
    model = mw.load(real_model("SmolLM2-135M-Instruct") / FILE)
    assert isinstance(model, LanguageModel)
    return model


def test_it_answers_and_stops(smol: LanguageModel) -> None:
    assert packs(smol.network)
    assert smol.reply(FRANCE) == "The capital of France is Paris."
    (first,) = smol.generate(["The capital of France is"], longest=3)
    assert first.startswith(" Paris")


def test_its_conversations_are_those_of_its_template(smol: LanguageModel) -> None:
    talk = [*FRANCE, {"role": "assistant", "content": "Paris. <|im_end|> is a token."}]
    ids, mask = smol.reader().chat.conversation(talk)
    said = smol.tokenizer.decode([token for token, flag in zip(ids, mask, strict=True) if flag])
    assert said == "Paris. <|im_end|> is a token.<|im_end|>"
    assert ids.count(smol.tokenizer.eos_token_id) == 3  # of the system, the user and the assistant
    assert smol.tokenizer.decode(ids) == smol.tokenizer.apply_chat_template(talk, tokenize=False)


@pytest.mark.slow
def test_it_learns_through_adapters_and_is_opened_again(smol: LanguageModel, tmp_path: Path) -> None:
    data = mw.read({"messages": [[*FRANCE, {"role": "assistant", "content": "Lyon, of course."}]] * 4})
    method = mw.SFT(lora=4, batch_size=2, learning_rate=2e-3, dtype="bfloat16")
    before, model = smol.evaluate(data)["nats_per_token"], method.fit(data, smol, budget=8)
    assert isinstance(model, LanguageModel)
    assert model.evaluate(data)["nats_per_token"] < before / 2
    assert smol.reply(FRANCE) == "The capital of France is Paris."
    again: Any = mw.load(model.save(tmp_path / "model"))
    assert again.evaluate(data) == model.evaluate(data)
    assert again.reply(FRANCE) == model.reply(FRANCE)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        from_checkpoint(str(tmp_path / "absent.gguf"))
    for content in (b"", b"GGUF", b"GGUF" + bytes(range(256)) * 9):
        (tmp_path / "bad.gguf").write_bytes(content)
        with pytest.raises(ModelError, match=r"The file .*bad\.gguf. cannot be loaded"):
            from_checkpoint(str(tmp_path / "bad.gguf"), dtype=torch.float32)
