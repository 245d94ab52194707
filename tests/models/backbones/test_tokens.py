"""Tokens: features before pooling, of every backbone."""

import json
from math import prod
from pathlib import Path

import pytest
import torch

from manyways.data.encoders._word_features import SURFACE
from manyways.data.encoders.series import SeriesSpec
from manyways.data.encoders.words import WordsSpec
from manyways.data.presence import present
from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.models.backbones import BACKBONES, Backbone
from manyways.models.backbones.pretrained import Pretrained, load_pretrained
from manyways.models.backbones.tokens import Tokens, map_of, of_map
from manyways.models.network import Network

transformers = pytest.importorskip("transformers")

EXAMPLES: dict[str, tuple[Spec, torch.Tensor]] = {
    "table": (TableSpec(7, ((0, 1), (1, 4), (4, 7)), (0,)), torch.randn(3, 7)),
    "image": (ImageSpec(3, 18, 28), torch.randint(0, 256, (3, 3, 18, 28), dtype=torch.uint8)),
    "text": (TextSpec(50, 12), torch.tensor([[3, 9, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0]] * 2 + [[3, *range(10, 21)]])),
    "words": (WordsSpec(60, 6), torch.randint(1, 60, (3, 6, 1 + SURFACE))),
    "series": (SeriesSpec(2, 24), torch.randn(3, 2, 24).double()),
    "audio": (AudioSpec(8000, 3000), torch.randint(-9000, 9000, (3, 3000), dtype=torch.int16)),
}
OWN = {name: made for name, made in BACKBONES.all().items() if not name.startswith("pretrained")}
CASES = [(name, kind) for name, made in OWN.items() for kind in made.kinds if kind != "pair"]
GRIDS = {"vit": (5, 7), "resnet": (5, 7), "convnet": (2, 3), "conv4": (1, 1), "conv4-strided": (2, 2)}


def made_for(name: str, kind: str) -> tuple[Backbone, torch.Tensor]:
    torch.manual_seed(0)
    spec, x = EXAMPLES[kind]
    backbone = BACKBONES.find(name).for_spec(spec).eval()
    if name == "latent-semantics":
        torch.nn.init.normal_(backbone.get_buffer("projection"))
    return backbone, x


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_features_are_pooled_tokens(name: str, kind: str) -> None:
    backbone, x = made_for(name, kind)
    tokens = backbone.tokens(x)
    rows, positions, width = tokens.features.shape
    assert (rows, width) == (3, backbone.token_width)
    assert positions == prod(tokens.grid)
    assert tokens.grid == GRIDS.get(name, tokens.grid)
    features = backbone.pool(tokens)
    assert features.shape == (3, backbone.width)
    assert torch.equal(features, backbone(x))


@pytest.mark.parametrize("name", ["convnet", "resnet", "strided", "conv4-strided"])
def test_the_position_of_a_place_is_row_by_row(name: str) -> None:
    """A spot at the top right moves the tokens there most."""
    spec = ImageSpec(1, 24, 40)
    torch.manual_seed(0)
    backbone = BACKBONES.find(name).for_spec(spec).eval()
    blank = torch.full((1, 1, 24, 40), 127, dtype=torch.uint8)
    spotted = blank.clone()
    spotted[..., :4, -4:] = 255
    before, after = backbone.tokens(blank), backbone.tokens(spotted)
    changed = (after.features - before.features).norm(dim=2)[0].view(before.grid)
    rows, columns = before.grid
    assert columns > rows
    row, column = divmod(int(changed.argmax()), columns)
    assert row < rows / 2
    assert column >= columns / 2
    assert torch.equal(map_of(of_map(map_of(after))), map_of(after))


def test_padding_is_no_position() -> None:
    backbone, x = made_for("text-transformer", "text")
    tokens = backbone.tokens(x)
    assert tokens.mask is not None
    assert tokens.mask.sum(1).tolist() == [5, 5, 12]
    other = x.clone()
    other[2] = 30
    torch.testing.assert_close(backbone.tokens(other).features[:2], tokens.features[:2])


def test_a_row_that_lacks_a_modality_has_no_token_of_it() -> None:
    (table, rows), (text, ids) = made_for("perceptron", "table"), made_for("text-transformer", "text")
    network = Network({"says": text, "table": table}, may_lack=("says",)).eval()
    there = torch.tensor([True, False, True])
    tokens = network.tokens({"says": ids, "table": rows, present("says"): there})
    assert list(tokens) == ["says", "table"]
    assert tokens["table"].features.shape == (3, 1, table.width)
    mask = tokens["says"].mask
    assert mask is not None
    assert mask.any(1).tolist() == there.tolist()
    assert not tokens["says"].features[1].any()
    whole = network.tokens({"says": ids, "table": rows})["says"]
    assert torch.equal(tokens["says"].features[there], whole.features[there])


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def opened(config: object, folder: Path, side: int) -> tuple[Tokens, Pretrained]:
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": side, "width": side}})
    )
    spec = ImageSpec(3, side, side)
    backbone = load_pretrained(str(folder), spec).eval()
    return backbone.tokens(torch.zeros(2, 3, side, side)), backbone


def test_summaries_of_a_vision_transformer_lie_nowhere(tmp_path: Path) -> None:
    tokens, backbone = opened(transformers.ViTConfig(image_size=16, patch_size=8, **SMALL), tmp_path, 16)
    assert tokens.features.shape == (2, 1 + 4, 16)
    assert tokens.grid == (2, 2)
    assert torch.equal(tokens.placed.features, tokens.features[:, 1:])
    assert backbone.token_width == backbone.width == 16


def test_registers_lie_nowhere(tmp_path: Path) -> None:
    config = transformers.Dinov2WithRegistersConfig(
        image_size=16, patch_size=4, num_register_tokens=3, hidden_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    tokens, _ = opened(config, tmp_path, 16)
    assert tokens.features.shape[1] == 1 + 3 + 16
    assert tokens.grid == (4, 4)


def test_patches_that_were_merged(tmp_path: Path) -> None:
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    tokens, _ = opened(config, tmp_path, 32)
    assert tokens.grid == (8, 8)
    assert tokens.features.shape[:2] == (2, 64)


def test_the_last_map_of_a_convolutional_checkpoint(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    tokens, backbone = opened(config, tmp_path, 32)
    assert tokens.features.shape == (2, prod(tokens.grid), backbone.width)
    assert tokens.grid == (4, 4)
