"""Checkpoints of the transformers library as backbones."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones import BACKBONES, make_backbone
from manyways.models.backbones._checkpoints import load_tokenizer
from manyways.models.backbones.pretrained import Pretrained, load_pretrained

transformers = pytest.importorskip("transformers")

TEXT = TextSpec(vocabulary=40, length=12)
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to reach a server fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    config = transformers.BertConfig(vocab_size=40, max_position_embeddings=20, **SMALL)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    folder = tmp_path / "vit"
    transformers.ViTModel(transformers.ViTConfig(image_size=16, patch_size=8, **SMALL)).save_pretrained(folder)
    settings = {
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.5, 0.6, 0.7],
        "size": {"height": 16, "width": 16},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    config = transformers.LlamaConfig(vocab_size=40, max_position_embeddings=20, **SMALL)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


@pytest.fixture
def wav2vec2(tmp_path: Path) -> Path:
    config = transformers.Wav2Vec2Config(
        vocab_size=8, conv_dim=(8, 8), conv_stride=(5, 4), conv_kernel=(10, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **SMALL,
    )  # fmt: skip
    folder = tmp_path / "wav2vec2"
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000, "do_normalize": True}))
    return folder


def ids() -> torch.Tensor:
    x = torch.randint(1, 40, (4, 12), generator=torch.Generator().manual_seed(0))
    x[0, 5:] = 0
    x[1, 9:] = 0
    return x


def rebuilt(backbone: Pretrained) -> Pretrained:
    again = BACKBONES.rebuild(json.loads(json.dumps(backbone.config)))
    again.load_state_dict(backbone.state_dict())
    assert isinstance(again, Pretrained)
    return again.eval()


def test_text_features_are_the_mean_over_the_tokens_of_the_checkpoint(bert: Path) -> None:
    backbone = make_backbone(str(bert), TEXT).eval()
    original = transformers.BertModel.from_pretrained(bert).eval()
    features = backbone(ids())
    alone = original(input_ids=ids()[:1, :5]).last_hidden_state.mean(1)
    assert backbone.width == 16
    torch.testing.assert_close(features[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("which", ["bert", "llama"])
def test_padding_does_not_change_text_features(which: str, request: pytest.FixtureRequest) -> None:
    backbone = load_pretrained(str(request.getfixturevalue(which)), TEXT).eval()
    longer = torch.cat([ids(), torch.zeros(4, 3, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(backbone(ids())[:1], backbone(ids()[:1, :5]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(backbone(longer), backbone(ids()), rtol=1e-4, atol=1e-5)


def test_images_are_resized_and_standardised_as_the_checkpoint_says(vit: Path) -> None:
    backbone = load_pretrained(str(vit), ImageSpec(1, 8, 8)).eval()
    grey = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    original = transformers.ViTModel.from_pretrained(vit).eval()
    colour = torch.nn.functional.interpolate(
        (grey / 255).expand(-1, 3, -1, -1), (16, 16), mode="bilinear", antialias=True
    )
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    pixels = (colour - mean[:, None, None]) / std[:, None, None]
    expected = original(pixel_values=pixels).last_hidden_state.mean(1)
    torch.testing.assert_close(backbone(grey), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(backbone(grey / 255), backbone(grey), rtol=1e-4, atol=1e-5)


def test_a_convolutional_checkpoint_is_averaged_over_positions(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    original = transformers.ResNetModel(config).eval()
    original.save_pretrained(tmp_path)
    spec = ImageSpec(3, 32, 32)
    with pytest.warns(UserWarning, match="image_mean"):
        backbone = load_pretrained(str(tmp_path), spec).eval()
    assert backbone.width == 12
    assert backbone.config["size"] == [224, 224]
    x = torch.rand(2, 3, 224, 224)
    expected = original(pixel_values=(x - 0.5) / 0.5).pooler_output.flatten(1)
    torch.testing.assert_close(backbone(x), expected, rtol=1e-4, atol=1e-5)


def test_sound_ignores_loudness_and_accepts_both_encodings(wav2vec2: Path) -> None:
    backbone = load_pretrained(str(wav2vec2), AudioSpec(8000, 2000)).eval()
    wave = torch.randint(-9000, 9000, (2, 2000), dtype=torch.int16)
    features = backbone(wave)
    assert features.shape == (2, backbone.width)
    torch.testing.assert_close(backbone(wave / 32768), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(backbone(wave / 65536), features, rtol=1e-3, atol=1e-3)
    with pytest.raises(ModelError, match=r"8000 samples per second; the data has 16000"):
        load_pretrained(str(wav2vec2), AudioSpec(16000, 2000))


@pytest.mark.parametrize(
    ("which", "spec", "example"),
    [
        ("bert", TEXT, ids()),
        ("llama", TEXT, ids()),
        ("vit", ImageSpec(3, 16, 16), torch.rand(2, 3, 16, 16)),
        ("wav2vec2", AudioSpec(8000, 2000), torch.rand(2, 2000)),
    ],
)
def test_config_and_weights_rebuild_it_without_the_checkpoint(
    which: str, spec: Spec, example: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    backbone = load_pretrained(str(folder), spec).eval()
    shutil.rmtree(folder)
    torch.testing.assert_close(rebuilt(backbone)(example), backbone(example), rtol=0, atol=0)


@pytest.mark.parametrize("which", ["bert", "llama", "vit", "wav2vec2"])
def test_layer_groups_run_from_the_embeddings_through_each_layer(which: str, request: pytest.FixtureRequest) -> None:
    specs = {"vit": ImageSpec(3, 16, 16), "wav2vec2": AudioSpec(8000, 2000)}
    backbone = load_pretrained(str(request.getfixturevalue(which)), specs.get(which, TEXT))
    groups = backbone.layer_groups()
    assert len(groups) >= 3
    flat = [id(parameter) for group in groups for parameter in group]
    assert sorted(flat) == sorted(id(parameter) for parameter in backbone.parameters())
    names = {id(parameter): name for name, parameter in backbone.named_parameters()}
    last_layers = [names[id(parameter)] for parameter in groups[-2] + groups[-1]]
    assert any(".1." in name for name in last_layers)
    assert not any(".1." in names[id(parameter)] for parameter in groups[1])


def test_training_reaches_every_weight_of_a_text_encoder(bert: Path) -> None:
    backbone = load_pretrained(str(bert), TEXT)
    assert backbone.training
    (backbone(ids()) * torch.randn(16)).sum().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


def test_pickled_weights_are_refused(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pytorch_model.bin, a pickle, which is never loaded"):
        load_pretrained(str(bert), TEXT)


def test_a_missing_shard_is_named(bert: Path) -> None:
    model = transformers.BertModel.from_pretrained(bert)
    (bert / "model.safetensors").unlink()
    model.save_pretrained(bert, max_shard_size="5KB")
    shards = sorted(bert.glob("model-*.safetensors"))
    assert len(shards) > 1
    load_pretrained(str(bert), TEXT)
    shards[1].unlink()
    with pytest.raises(ModelError, match=rf"lacks 1 of {len(shards)} weight files, the first is {shards[1].name}"):
        load_pretrained(str(bert), TEXT)


def test_damaged_weights_and_configs_are_refused(bert: Path) -> None:
    weights = (bert / "model.safetensors").read_bytes()
    (bert / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="no whole safetensors file"):
        load_pretrained(str(bert), TEXT)
    (bert / "model.safetensors").write_bytes(weights)
    (bert / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is no JSON"):
        load_pretrained(str(bert), TEXT)
    (bert / "config.json").unlink()
    with pytest.raises(ModelError, match=r"it has no config.json"):
        load_pretrained(str(bert), TEXT)


def test_weights_of_another_architecture_are_refused(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(bert / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights .*encoder.layer.1.output.dense.weight"):
        load_pretrained(str(bert), TEXT)


def test_the_wrong_kind_of_data_is_refused(bert: Path) -> None:
    with pytest.raises(ModelError, match="reads text; this input is image"):
        load_pretrained(str(bert), ImageSpec(3, 16, 16))
    with pytest.raises(ModelError, match="reads text; this input is table"):
        load_pretrained(str(bert), TableSpec(1, ((0, 1),), (0,)))
    with pytest.raises(ModelError, match="knows 40 tokens and the data was encoded with 41"):
        load_pretrained(str(bert), TextSpec(vocabulary=41, length=12))
    with pytest.raises(ParameterError, match=r"size must be 1.0"):
        make_backbone(str(bert), TEXT, 2.0)
    with pytest.raises(ParameterError, match="needs a checkpoint"):
        make_backbone("pretrained", TEXT)


def test_a_hub_name_without_network_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'nobody/nothing' cannot be loaded.*needs the network"):
        make_backbone("nobody/nothing", TEXT)


def test_a_tokenizer_without_padding_pads_with_the_end_of_text(real_data: Callable[[str], Path]) -> None:
    folder = str(real_data("tinystories-656K"))
    known = load_tokenizer(folder)
    rows = [known.tokenizer.encode(text).ids for text in ("Once upon a time there was a cat.", "The end.")]
    batch = torch.full((2, max(map(len, rows)) + 2), known.padding)
    for row, tokens in zip(batch, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    spec = TextSpec(vocabulary=known.tokenizer.get_vocab_size(), length=known.limit, padding=known.padding)
    backbone = load_pretrained(folder, spec).eval()
    alone = backbone(batch[1:, : len(rows[1])])
    torch.testing.assert_close(backbone(batch)[1:], alone, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(backbone(batch)[0], alone[0], atol=1e-2)
