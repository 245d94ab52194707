"""Folders of sentence-transformers: poolings, layers, unit length and the longest text are read as they state them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from checkpoints import tiny_bert, with_modules
from manyways.data.columns import Column
from manyways.data.encoders.text import TextEncoder
from manyways.data.specs import TextSpec
from manyways.errors import ModelError
from manyways.models.backbones import BACKBONES, make_backbone
from manyways.models.backbones._checkpoints import load_tokenizer
from manyways.models.backbones.pretrained import Pretrained, by_length, kind_read, load_pretrained

transformers = pytest.importorskip("transformers")
WORDS = [f"w{number}" for number in range(30)]
TEXT = TextSpec(vocabulary=35, length=12)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return tiny_bert(tmp_path / "bert", WORDS)


def ids() -> Tensor:
    x = torch.randint(5, 35, (4, 12), generator=torch.Generator().manual_seed(0))
    x[0, 5:] = 0
    x[1, 9:] = 0
    return x


def hidden(folder: Path) -> Tensor:
    """The last hidden states of the first two rows of `ids`, which are padded."""
    x = ids()[:2]
    with torch.no_grad():
        states: Tensor = (
            transformers.BertModel.from_pretrained(folder)
            .eval()(input_ids=x, attention_mask=(x != 0).long())
            .last_hidden_state
        )
    return states


POOLED: dict[str, Callable[[Tensor], Tensor]] = {
    "pooling_mode_cls_token": lambda states: states[0],
    "pooling_mode_max_tokens": lambda states: states.amax(0),
    "pooling_mode_mean_tokens": lambda states: states.mean(0),
    "pooling_mode_mean_sqrt_len_tokens": lambda states: states.sum(0) / len(states) ** 0.5,
    "pooling_mode_weightedmean_tokens": lambda states: sum(
        (at + 1) * state for at, state in enumerate(states)
    ) / (len(states) * (len(states) + 1) / 2),
    "pooling_mode_lasttoken": lambda states: states[-1],
}  # fmt: skip
"""What each pooling makes of the hidden states [positions, width] of one row without its padding."""


@pytest.mark.parametrize("flag", POOLED)
def test_each_pooling_is_as_sentence_transformers_has_it(flag: str, bert: Path) -> None:
    with_modules(bert, {name: name == flag for name in POOLED})
    features = load_pretrained(str(bert), TEXT).eval()(ids()[:2])
    states = hidden(bert)
    wanted = torch.stack([POOLED[flag](states[0, :5]), POOLED[flag](states[1, :9])])
    torch.testing.assert_close(features, wanted, rtol=1e-4, atol=1e-5)


def test_poolings_stand_side_by_side_and_newer_folders_name_them(bert: Path) -> None:
    with_modules(bert, {"pooling_mode": ["cls", "mean"]}, "Normalize")
    backbone = load_pretrained(str(bert), TEXT).eval()
    states = hidden(bert)
    wanted = torch.cat([states[0, 0], states[0, :5].mean(0)])
    assert (backbone.width, backbone.token_width) == (32, 16)
    torch.testing.assert_close(backbone(ids()[:1])[0], wanted / wanted.norm(), rtol=1e-4, atol=1e-5)


def test_dense_layers_are_read_and_kept(bert: Path) -> None:
    with_modules(bert, {"pooling_mode_mean_tokens": True}, "Dense", "Normalize")
    config = {"in_features": 16, "out_features": 6, "bias": True}
    place = bert / "2_Dense"
    place.mkdir()
    activation = {"activation_function": "torch.nn.modules.activation.Tanh"}
    (place / "config.json").write_text(json.dumps({**config, **activation}))
    weight, bias = torch.randn(6, 16), torch.randn(6)
    save_file({"linear.weight": weight, "linear.bias": bias}, place / "model.safetensors")
    backbone = load_pretrained(str(bert), TEXT).eval()
    wanted = torch.tanh(weight @ hidden(bert)[0, :5].mean(0) + bias)
    assert (backbone.width, backbone.token_width) == (6, 16)
    torch.testing.assert_close(backbone(ids()[:1])[0], wanted / wanted.norm(), rtol=1e-4, atol=1e-5)
    again = BACKBONES.rebuild(json.loads(json.dumps(backbone.config)))
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.eval()(ids()), backbone(ids()))
    assert sum(len(group) for group in backbone.layer_groups()) == len(list(backbone.parameters()))
    (place / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="a pickle is never loaded"):
        load_pretrained(str(bert), TEXT)


def test_the_network_may_lie_in_a_folder_of_its_own(bert: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    with_modules(whole, {"pooling_mode_cls_token": True})
    described = json.loads((whole / "modules.json").read_text())
    described[0]["path"] = "0_Transformer"
    (whole / "modules.json").write_text(json.dumps(described))
    bert.rename(whole / "0_Transformer")
    (whole / "0_Transformer" / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 7}))
    features = load_pretrained(str(whole), TEXT).eval()(ids()[:1])
    torch.testing.assert_close(features[0], hidden(whole / "0_Transformer")[0, 0], rtol=1e-4, atol=1e-5)
    assert load_tokenizer(str(whole)).limit == 7
    assert kind_read(str(whole)) == "text"


def test_longer_texts_are_cut_before_the_token_that_ends_them(bert: Path) -> None:
    with_modules(bert, {"pooling_mode_mean_tokens": True}, length=6)
    column = Column("says", "text", np.array([" ".join(WORDS[:20]), "w0"], object))
    encoder = TextEncoder.fit([column], np.arange(2), load_tokenizer(str(bert)))
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    wanted = tokenizer(" ".join(WORDS[:20]), truncation=True, max_length=6).input_ids
    assert encoder.encode([column], np.arange(2))[0].tolist() == wanted
    again = TextEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.encode([column], np.arange(2))[0].tolist() == wanted


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"type": "my_package.Strange"}, "names a module 'Strange' that is not read"),
        ({"path": "../elsewhere"}, "lies outside"),
        ({"path": "9_Pooling"}, "has no config.json"),
        ({"type": 3}, "must be text"),
    ],
)
def test_modules_that_cannot_be_read_are_refused(change: dict[str, Any], match: str, bert: Path) -> None:
    with_modules(bert, {"pooling_mode_mean_tokens": True})
    described = json.loads((bert / "modules.json").read_text())
    described[1] |= change
    (bert / "modules.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=match):
        load_pretrained(str(bert), TEXT)


@pytest.mark.parametrize("text", ["{}", "[1]", "not json"])
def test_a_damaged_list_of_modules_is_refused(text: str, bert: Path) -> None:
    (bert / "modules.json").write_text(text)
    with pytest.raises(ModelError, match=r"modules\.json"):
        load_pretrained(str(bert), TEXT)


def test_a_pooling_that_is_not_known_is_refused(bert: Path) -> None:
    with_modules(bert, {"pooling_mode": "attention"})
    with pytest.raises(ModelError, match="must state a pooling among cls, max, mean"):
        load_pretrained(str(bert), TEXT)


def test_texts_in_pieces_of_about_one_length_have_the_same_features_and_gradients(bert: Path) -> None:
    backbone = load_pretrained(str(bert), TextSpec(35, 40)).eval()
    x = torch.randint(5, 35, (40, 40), generator=torch.Generator().manual_seed(0))
    lengths = torch.randint(2, 41, (40,), generator=torch.Generator().manual_seed(1))
    x[torch.arange(40) >= lengths[:, None]] = 0
    order, pieces = by_length(lengths)
    assert [piece.stop - piece.start for piece in pieces] == [16, 24]
    assert (lengths[order].diff() >= 0).all()
    whole = backbone.pool(backbone.tokens(x))
    wanted = torch.autograd.grad(whole.square().sum(), list(backbone.parameters()), allow_unused=True)
    found = torch.autograd.grad(backbone(x).square().sum(), list(backbone.parameters()), allow_unused=True)
    torch.testing.assert_close(backbone(x), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_batch_of_one_length_stays_whole() -> None:
    assert by_length(torch.full((64,), 9))[1] == [slice(0, 64)]
    assert by_length(torch.arange(8))[1] == [slice(0, 8)]
    assert by_length(torch.arange(0))[1] == [slice(0, 0)]


def test_the_real_encoder_says_which_sentences_are_alike(real_model: Callable[[str], Path]) -> None:
    place = str(real_model("all-MiniLM-L6-v2"))
    tokenizer = load_tokenizer(place)
    assert tokenizer.limit == 256
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "Stocks fell sharply on Monday."]
    column = Column("says", "text", np.array(texts, object))
    encoder = TextEncoder.fit([column], np.arange(3), tokenizer)
    backbone = load_pretrained(place, encoder.spec).eval()
    assert isinstance(backbone, Pretrained)
    with torch.no_grad():
        features = backbone(torch.from_numpy(encoder.encode([column], np.arange(3))).long())
    similar = features @ features.T
    torch.testing.assert_close(similar.diag(), torch.ones(3))
    assert similar[0, 1] > 0.5
    assert similar[0, 2] < 0.2


def test_a_checkpoint_that_is_trained_does_not_scale_its_embeddings(bert: Path) -> None:
    with_modules(bert, {"pooling_mode_mean_tokens": True}, "Normalize")
    frozen, trained = load_pretrained(str(bert), TEXT).eval(), make_backbone(str(bert), TEXT).eval()
    features = trained(ids())
    assert not torch.allclose(features.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(frozen(ids()), torch.nn.functional.normalize(features, dim=1))
