"""Hidden tokens: how many, what becomes of them, and what is asked about them."""

from typing import Any

import numpy as np
import pytest
import torch

from manyways.models.language.architectures import new_network
from manyways.models.language.masking import fill_in_loss, hide_tokens, padded
from manyways.randomness import generator

pytestmark = pytest.mark.quick


def test_shares_are_those_of_the_paper(tokenizer: Any) -> None:
    """15% hidden; of these 80% a mask, 10% any token, 10% themselves. Padding is never hidden."""
    ids = torch.full((400, 100), 7)
    ids[:, 60:] = tokenizer.pad_token_id
    hidden = hide_tokens(ids, tokenizer, generator(0), 0.15)
    assert len(hidden.places) / 24_000 == pytest.approx(0.15, abs=0.01)
    assert bool((hidden.places % 100 < 60).all())
    assert bool((hidden.targets == 7).all())
    shown = hidden.ids.flatten()[hidden.places]
    assert float((shown == tokenizer.mask_token_id).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((shown == 7).float().mean()) == pytest.approx(0.1 + 0.1 / len(tokenizer), abs=0.02)
    untouched = torch.ones(ids.numel(), dtype=torch.bool)
    untouched[hidden.places] = False
    assert torch.equal(hidden.ids.flatten()[untouched], ids.flatten()[untouched])


def test_at_least_one_token_is_hidden(tokenizer: Any) -> None:
    hidden = hide_tokens(torch.tensor([[5, 6]]), tokenizer, generator(0), 1e-9)
    assert len(hidden.targets) == 1


def test_the_loss_is_cross_entropy_at_the_hidden_places(tokenizer: Any) -> None:
    torch.manual_seed(0)
    network = new_network("masked", tokenizer, 32, 0.3).eval()
    ids = padded([np.array([5, 6, 7, 8], np.int32), np.array([9, 10], np.int32)], 32, tokenizer)
    assert ids.tolist() == [[5, 6, 7, 8], [9, 10, tokenizer.pad_token_id, tokenizer.pad_token_id]]
    hidden = hide_tokens(ids, tokenizer, generator(1), 0.5)
    logits = network(input_ids=hidden.ids, attention_mask=hidden.seen).logits.flatten(0, 1)[hidden.places]
    expected = torch.nn.functional.cross_entropy(logits, hidden.targets, reduction="none")
    torch.testing.assert_close(fill_in_loss(network, hidden, tokenizer), expected, rtol=1e-5, atol=1e-6)
