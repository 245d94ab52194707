"""The check of a network's forward pass when a checkpoint is opened."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from manyways.errors import ModelError
from manyways.models.language.probe import packs
from manyways.models.language_model import from_checkpoint

from .architectures import small


def test_weights_that_are_no_numbers_are_named_as_such(causal: Any, tokenizer: Any, tmp_path: Path) -> None:
    network = copy.deepcopy(causal)
    with torch.no_grad():
        network.get_input_embeddings().weight[7] = float("nan")
        network.lm_head.weight[9] = float("inf")
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"is not finite: its weights are damaged") as raised:
        from_checkpoint(str(tmp_path))
    assert str(tmp_path) in str(raised.value)


@pytest.mark.filterwarnings("ignore")  # what transformers has to say of kernels that are not installed
def test_rounding_that_a_state_amplifies_is_no_other_reading(tokenizer: Any) -> None:
    """Where a batch and single sequences differ by rounding alone, which double precision shows, nothing is refused."""
    network = small("mamba", tokenizer)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    assert not packs(network)


def test_a_tokenizer_that_cannot_read_is_named(causal: Any, tokenizer: Any, tmp_path: Path) -> None:
    causal.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    stated = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**stated, "model_max_length": [512]}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be loaded") as raised:
        from_checkpoint(str(tmp_path))
    assert str(tmp_path) in str(raised.value)
