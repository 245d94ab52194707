"""The decoder of a pretrained sequence-to-sequence checkpoint of the transformers library: Marian, T5, BART."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from manyways.damaged import reason
from manyways.errors import ManywaysError, ModelError
from manyways.models.backbones import _checkpoints
from manyways.models.backbones._checkpoint_folders import check_sizes, refuse_kernels
from manyways.models.sequences.base import DecodingState, SequenceDecoder


@dataclass(eq=False)
class CheckpointState(DecodingState):
    """The memory for each sequence, and the library's own cache of keys and values, with the word it has for it."""

    memory: Tensor
    mask: Tensor | None
    word: str
    cache: Any = None

    def keep_rows(self, rows: Tensor) -> None:
        beams = torch.arange(self.beams, device=rows.device)
        sequences = (rows[:, None] * self.beams + beams).flatten()
        self.memory = self.memory[sequences]
        self.mask = None if self.mask is None else self.mask[sequences]
        self.keep_sequences(sequences)

    def keep_sequences(self, sequences: Tensor) -> None:
        if self.cache is not None:
            self.cache.batch_select_indices(sequences)


class NoEncoder(nn.Module):
    """The place of the encoder, which is a backbone of the network."""


class CheckpointDecoder(SequenceDecoder[CheckpointState]):
    """All of a sequence-to-sequence network but its encoder, which reads the input as a backbone.

    Args:
        architecture: Its transformers config as a dict.
        body: The network with its weights; None: with random ones.
    """

    def __init__(self, architecture: Mapping[str, Any], body: Any = None) -> None:
        super().__init__()
        self.architecture = dict(architecture)
        self.body = _build(architecture) if body is None else body
        encoder = self.body.get_encoder()
        self.width = int(encoder.config.hidden_size)
        self.vocabulary = int(self.body.get_output_embeddings().weight.shape[0])
        own = {id(parameter): name for name, parameter in encoder.named_parameters()}
        places = [name for name, module in self.body.named_modules() if module is encoder]
        for place in places:
            above, _, last = place.rpartition(".")
            setattr(self.body.get_submodule(above), last, NoEncoder())
        self.shared = {own[id(each)]: name for name, each in self.body.named_parameters() if id(each) in own}

    def frozen(self) -> nn.Module:
        """Freeze all weights, and return the part that adapters are put into: the decoder without its output layer."""
        decoder: nn.Module = self.body.requires_grad_(False).get_decoder()
        return decoder

    def tie(self, encoder: nn.Module) -> None:
        """Let the encoder have the decoder's tensors where the checkpoint shares them."""
        for theirs, ours in self.shared.items():
            place, _, name = theirs.rpartition(".")
            setattr(encoder.get_submodule(place), name, self.body.get_parameter(ours))

    def _outputs(self, ids: Tensor, memory: Tensor, mask: Tensor | None, **more: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return self.body(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=None if mask is None else mask.long(),
            decoder_input_ids=ids,
            **more,
        )

    def logits_after(self, ids: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        logits: Tensor = self._outputs(ids, memory, mask, use_cache=False).logits
        return logits

    def losses(
        self, ids: Tensor, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        real = labels >= 0
        logits = self.logits_after(ids, memory, mask)[real].float()
        return cross_entropy(logits, labels[real], reduction="none", label_smoothing=smoothing)

    def begin(self, memory: Tensor, mask: Tensor | None, beams: int = 1) -> CheckpointState:
        from manyways.models.language.cache import cache_word

        of_each = None if mask is None else mask.repeat_interleave(beams, 0)
        return CheckpointState(beams, memory.repeat_interleave(beams, 0), of_each, cache_word(self.body))

    def step(self, ids: Tensor, state: CheckpointState) -> Tensor:
        rows, beams = ids.shape
        outputs = self._outputs(
            ids.reshape(-1, 1), state.memory, state.mask, use_cache=True, **{state.word: state.cache}
        )  # fmt: skip
        state.cache = outputs[state.word]
        logits: Tensor = outputs.logits[:, -1]
        return logits.view(rows, beams, -1)


def load_decoder(checkpoint: str) -> CheckpointDecoder:
    """The decoder of a folder or Hub name with its weights in float32.

    Raises:
        ModelError: It cannot be loaded, or lacks weights.
    """
    transformers = _checkpoints.transformers_library()
    model, report = _checkpoints.read_weights(checkpoint, transformers.AutoModelForSeq2SeqLM, torch.float32)
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"The checkpoint {checkpoint!r} lacks {len(missing)} weights of its decoder, the first is {missing[0]!r}; "
            "it is damaged or was saved from its encoder alone."
        )
    return CheckpointDecoder(json.loads(model.config.to_json_string(use_diff=False)), model)


def _build(architecture: Mapping[str, Any]) -> Any:
    """The network of a config, with random weights. Raises ModelError where it is none with a decoder."""
    transformers = _checkpoints.transformers_library()
    values = dict(architecture)
    check_sizes(values, 0, "The saved description of the decoder")
    refuse_kernels(values, "the saved architecture")
    try:
        config = transformers.CONFIG_MAPPING[values.get("model_type", "")].from_dict(values)
        return transformers.AutoModelForSeq2SeqLM.from_config(config, trust_remote_code=False)
    except ManywaysError:
        raise
    except Exception as error:  # what a config may hold is checked by many hands, in as many ways
        raise ModelError(f"The saved description of the decoder is damaged: {reason(error)}.") from error
