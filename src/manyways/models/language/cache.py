"""The cache of keys and values in which the answers to a prompt stand side by side. Imports transformers."""

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from manyways.models.language.attention import NAME


class SharedLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers' own __init_subclass__
    """Keys and values of one layer, [lines, heads, places, width], in memory that doubles when it is full.

    transformers' own layer copies all that it holds for every token.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Add the keys and values of the next tokens; gives all."""
        begin = self.get_seq_length()
        end = begin + key_states.shape[2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._hold(key_states, value_states)
        if end > self._keys.shape[2]:
            self._hold(_longer(self._keys, begin, 2 * end), _longer(self._values, begin, 2 * end))
        self._keys[:, :, begin:end] = key_states
        self._values[:, :, begin:end] = value_states
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    def keep(self, lines: Tensor, order: Tensor, prompt: int, beside: int) -> None:
        """Keep only `lines` [kept], and of each only the answers `order` [kept, fewer] of the `beside` that it has."""
        used = self.get_seq_length()
        self._hold(
            *(_kept(held[:, :, :used], lines, order, prompt, beside) for held in (self._keys, self._values)),
        )
        self.keys, self.values = self._keys, self._values

    def _hold(self, keys: Tensor, values: Tensor) -> None:
        self._keys, self._values = keys, values


def shared_cache() -> Cache:
    """A cache for answers that stand side by side."""
    return Cache(layer_class_to_replicate=SharedLayer)


def holds_everything(network: Any) -> bool:
    """True if every layer of `network` keeps the keys and values of all tokens, and attends by a mask it is given."""
    full = all(type(layer) is DynamicLayer for layer in DynamicCache(config=network.config).layers)
    return full and network.config._attn_implementation == NAME


def cache_word(network: Any) -> str:
    """Name of the cache of `network`, as an argument and in its output: the word changed in transformers 5.24."""
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"


def _longer(states: Tensor, used: int, places: int) -> Tensor:
    lines, heads, _, width = states.shape
    longer = states.new_empty(lines, heads, places, width)
    longer[:, :, :used] = states[:, :, :used]
    return longer


def _kept(states: Tensor, lines: Tensor, order: Tensor, prompt: int, beside: int) -> Tensor:
    states = states[lines]
    kept, heads, _, width = states.shape
    answers = states[:, :, prompt:].view(kept, heads, -1, beside, width)
    places = order[:, None, None, :, None].expand(-1, *answers.shape[1:3], -1, width)
    return torch.cat([states[:, :, :prompt], answers.gather(3, places).flatten(2, 3)], 2)
