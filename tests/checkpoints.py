"""Tiny checkpoints with random weights, as transformers and sentence-transformers save them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def tiny_bert(folder: Path, words: Sequence[str], positions: int = 40) -> Path:
    """A BERT of two layers in `folder` whose tokens are `words`."""
    import transformers

    folder.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *sorted(set(words))])}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=positions, **SMALL)
        transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    return folder


def tiny_vit(folder: Path, side: int = 8) -> Path:
    """A vision transformer of two layers in `folder` for images of `side` pixels."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.ViTConfig(image_size=side, patch_size=4, **SMALL)
        transformers.ViTModel(config).save_pretrained(folder)
    return _prepared(folder, side)


def tiny_resnet(folder: Path, side: int = 16) -> Path:
    """A residual network of two stages in `folder` for images of `side` pixels."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", downsample_in_first_stage=False
        )
        transformers.ResNetModel(config).save_pretrained(folder)
    return _prepared(folder, side)


def _prepared(folder: Path, side: int) -> Path:
    settings = {
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "size": {"height": side, "width": side},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def with_modules(folder: Path, pooling: Mapping[str, Any], *modules: str, length: int | None = None) -> Path:
    """The checkpoint in `folder` with the description that sentence-transformers writes beside it."""
    kinds = ["Transformer", "Pooling", *modules]
    paths = ["", *(f"{at}_{kind}" for at, kind in enumerate(kinds[1:], 1))]
    described = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(described))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if length is not None:
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": length}))
    return folder


def tiny_seq2seq(folder: Path, words: Sequence[str], kind: str, spread: float | None = None) -> Path:
    """A network with an encoder and a decoder in `folder` whose tokens are `words`: marian, t5 or bart.

    spread: the deviation of its weights, for one that writes something else each time.
    """
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["<pad>", "</s>", "<unk>", "<s>"]
    vocabulary = {word: number for number, word in enumerate([*special, *sorted(set(words))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    before = "<s> " if kind == "bart" else ""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{before}$A </s>", special_tokens=[(token, vocabulary[token]) for token in ("<s>", "</s>")]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    ).save_pretrained(folder)
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3, "vocab_size": len(vocabulary)}
    sizes = {
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 48,
    }  # fmt: skip
    late: dict[str, Any] = {"forced_eos_token_id": None}
    config: Any
    if kind == "t5":
        small = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
        config = transformers.T5Config(**small, **ends, decoder_start_token_id=0)
    elif kind == "marian":
        config = transformers.MarianConfig(**sizes, **ends, decoder_start_token_id=0, **late)
    else:
        config = transformers.BartConfig(**sizes, **ends, decoder_start_token_id=1, forced_bos_token_id=3, **late)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
        for parameter in model.parameters() if spread else ():
            torch.nn.init.normal_(parameter, std=spread)
        model.save_pretrained(folder)
    return folder
