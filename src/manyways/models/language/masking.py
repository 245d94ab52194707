"""Masked tokens: hide some, and say what they were (Devlin et al., BERT, 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.language.forward import logits_at


@dataclass(frozen=True)
class Hidden:
    """Rows with tokens hidden: ids and seen int64 [rows, length]; places in the flattened ids, targets [hidden]."""

    ids: Tensor
    seen: Tensor
    places: Tensor
    targets: Tensor

    def __getitem__(self, rows: slice) -> "Hidden":
        """Some of the rows."""
        first, last, _ = rows.indices(len(self.ids))
        length = self.ids.shape[1]
        inside = (self.places >= first * length) & (self.places < last * length)
        places = self.places[inside] - first * length
        return Hidden(self.ids[rows], self.seen[rows], places, self.targets[inside])

    def to(self, device: torch.device) -> "Hidden":
        """The same on `device`."""
        return Hidden(*(each.to(device) for each in (self.ids, self.seen, self.places, self.targets)))


def padded(rows: Sequence[NDArray[np.int32]], context: int, tokenizer: Any) -> Tensor:
    """`rows` cut to `context` tokens, their last token kept, and padded on the right, int64 [rows, longest]."""
    length = max(1, min(context, max(map(len, rows))))
    ids = np.full((len(rows), length), tokenizer.pad_token_id, np.int64)
    for at, row in enumerate(rows):
        ids[at, : min(len(row), length)] = row[:length]
        if len(row) > length:  # a text ends as every text does
            ids[at, -1] = row[-1]
    return torch.from_numpy(ids)


def hide_tokens(ids: Tensor, tokenizer: Any, rng: torch.Generator, share: float, whole: bool = False) -> Hidden:
    """Hide a `share` of the tokens that are no special ones: 80% become the mask, 10% any token, 10% stay as they are.

    whole: all become the mask. ids: int64 [rows, length], padded by the tokenizer's padding. At least one token of
    every batch is hidden, unless all are special.
    """
    attended = ids != tokenizer.pad_token_id
    ordinary = attended & ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    chance = torch.rand(ids.shape, generator=rng)
    hidden = ordinary & (chance < share)
    if bool(ordinary.any()) and not bool(hidden.any()):
        hidden = ordinary & (chance == chance[ordinary].min())
    places = hidden.flatten().nonzero()[:, 0]
    targets = ids.flatten()[places]
    changed = ids.flatten().clone()
    dice = torch.rand(len(places), generator=rng)
    other = torch.randint(len(tokenizer), (len(places),), generator=rng)
    changed[places] = torch.where(
        (dice < 0.8) | torch.tensor(whole), tokenizer.mask_token_id, torch.where(dice < 0.9, other, targets)
    )
    return Hidden(changed.view_as(ids), attended.long(), places, targets)


def fill_in_loss(network: Any, hidden: Hidden, tokenizer: Any) -> Tensor:
    """Nats of each hidden token, float32 [hidden]; only they go through the network's head."""
    logits = logits_at(
        network, hidden.places, lambda: network(input_ids=hidden.ids, attention_mask=hidden.seen)
    )  # fmt: skip
    nats: Tensor = logits.logsumexp(1) - logits.gather(1, hidden.targets[:, None])[:, 0]
    return nats
