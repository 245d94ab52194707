"""Folders of sentence-transformers: written of an encoder that was trained here, and opened as one."""

import json
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors.torch import save_file
from torch import nn

from manyways.data.encoders.text import TextEncoder
from manyways.data.specs import TextSpec
from manyways.models.backbones._checkpoints import load_tokenizer, quiet, transformers_library
from manyways.models.backbones._sentence_encoders import FLAGS, MODULES, SETTINGS
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import Pretrained, load_pretrained

TEXT = "text"
LONGEST = 512
"""Tokens of a text beyond so many are cut, even where a checkpoint could read more."""


def writes_as_folder(part: Backbone) -> TypeGuard[Pretrained]:
    """True if sentence-transformers can open what `write_sentence_folder` writes of `part`."""
    return isinstance(part, Pretrained) and part.kind == "text" and not part.writes


def open_checkpoint(checkpoint: str) -> tuple[Pretrained, TextEncoder]:
    """The network of a checkpoint, ready to be trained, and the encoder of the texts that it reads.

    Raises:
        ModelError: It cannot be opened, or reads no texts.
    """
    known = load_tokenizer(checkpoint)
    spec = TextSpec(known.tokenizer.get_vocab_size(), min(known.limit, LONGEST), known.padding, known.mask)
    part = load_pretrained(checkpoint, spec, to_train=True)
    return part, TextEncoder(TEXT, known.tokenizer.to_str(), spec, keeps_end=True)


def write_sentence_folder(folder: Path, part: Pretrained, encoder: TextEncoder) -> None:
    """Write what sentence-transformers opens: the network, its tokenizer, and the modules behind it.

    Its embeddings are of length 1.
    """
    body: Any = part.body
    with quiet():
        body.save_pretrained(folder)
        _tokenizer(encoder).save_pretrained(folder)
    pooled = part.token_width
    modules: list[tuple[str, dict[str, Any]]] = [("Transformer", {}), ("Pooling", _pooling(part, pooled))]
    layers = [layer for layer in part.embedding.dense.modules() if isinstance(layer, nn.Linear)]
    for at, (each, layer) in enumerate(zip(part.embedding.description, layers, strict=True), len(modules)):
        modules.append(("Dense", _dense(each)))
        _folder(folder, at, "Dense")
        weights = {f"linear.{name}": tensor.detach().cpu().contiguous() for name, tensor in layer.state_dict().items()}
        save_file(weights, folder / f"{at}_Dense" / "model.safetensors")
    modules.append(("Normalize", {}))
    described = []
    for at, (kind, config) in enumerate(modules):
        path = f"{at}_{kind}" if at else ""
        described.append({"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"})
        if at:
            _json(_folder(folder, at, kind) / "config.json", config)
    _json(folder / MODULES, described)
    _json(folder / SETTINGS, {"max_seq_length": encoder.text.length, "do_lower_case": False})
    _json(
        folder / "config_sentence_transformers.json",
        {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def read_sentence_folder(folder: Path, encoder: TextEncoder) -> Pretrained:
    """The network that `write_sentence_folder` wrote. Raises ModelError where it does not fit."""
    part = load_pretrained(str(folder), encoder.text, to_train=True)
    part.checkpoint = ""  # what is saved of it later is its own
    part.eval()
    return part


def _tokenizer(encoder: TextEncoder) -> Any:
    """The tokenizer as one of transformers."""
    from tokenizers import Tokenizer

    spec, tokenizer = encoder.text, Tokenizer.from_str(encoder.tokenizer_json)
    special = {"pad_token": tokenizer.id_to_token(spec.padding), "mask_token": tokenizer.id_to_token(spec.mask)}
    kind = transformers_library().PreTrainedTokenizerFast
    return kind(tokenizer_object=tokenizer, model_max_length=spec.length, **special)


def _pooling(part: Pretrained, width: int) -> dict[str, Any]:
    flags = {flag: mode in part.embedding.pooling for flag, mode in FLAGS.items()}
    return {"word_embedding_dimension": width, **flags, "include_prompt": True}


def _dense(described: dict[str, Any]) -> dict[str, Any]:
    activation = getattr(torch.nn, described["activation"])
    return {
        "in_features": described["inputs"],
        "out_features": described["outputs"],
        "bias": described["bias"],
        "activation_function": f"{activation.__module__}.{activation.__qualname__}",
    }


def _folder(folder: Path, at: int, kind: str) -> Path:
    place = folder / f"{at}_{kind}"
    place.mkdir(exist_ok=True)
    return place


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
