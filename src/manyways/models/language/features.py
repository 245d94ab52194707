"""Features of text: what a language model makes of it before it says anything."""

import copy
import json
from typing import Any

from manyways.data.encoders.text import TextEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.specs import TextSpec
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.language.forward import body
from manyways.models.lineage import Lineage
from manyways.models.network import Network
from manyways.models.predictor import Predictor

TEXT_LENGTH = 256
"""Tokens of a row that features are made of."""


def as_predictor(network: Any, tokenizer: Any, context: int, columns: tuple[str, ...], lineage: Lineage) -> Predictor:
    """The mean hidden states of a copy of `network` as features of each of the text `columns`."""
    # Heads that follow are of float32. An adapter's weights alone would need gradients, until it is saved and loaded.
    inner = copy.deepcopy(body(network)).float().requires_grad_(True)
    padding, mask = int(tokenizer.pad_token_id), tokenizer.mask_token_id
    spec = TextSpec(len(tokenizer), min(context, TEXT_LENGTH), padding, padding if mask is None else mask)
    backend = tokenizer.backend_tokenizer.to_str()
    architecture = json.loads(inner.config.to_json_string(use_diff=False))
    backbone = Pretrained(
        kind="text", features=inner.config.hidden_size, architecture=architecture, padding=padding, body=inner
    )
    return Predictor(
        network=Network(dict.fromkeys(columns, backbone)),
        inputs=InputEncoding({name: TextEncoder(name, backend, spec) for name in columns}),
        gives=frozenset({"embed"}),
        lineage=lineage,
    )
