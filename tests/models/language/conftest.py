"""A tiny causal model and its tokenizer."""

from typing import Any

import pytest
import torch

from manyways.models.language.architectures import new_network
from manyways.models.language.tokenizers import make_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer("characters", ["abcdefghij 0123456789+=\n"])


@pytest.fixture(scope="session")
def causal(tokenizer: Any) -> Any:
    """Random weights, larger than at the start of a training, so that every token matters."""
    torch.manual_seed(0)
    network = new_network("causal", tokenizer, 64, 0.35).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    return network
