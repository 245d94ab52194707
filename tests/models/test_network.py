"""Network: backbones side by side under one head, and an architecture that travels as JSON."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from manyways.data import storage
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.data.targets import Target
from manyways.errors import ModelError, ParameterError
from manyways.models import running
from manyways.models.backbones.base import ImageBackbone
from manyways.models.heads import LinearHead
from manyways.models.lineage import Lineage
from manyways.models.network import Network, is_checkpoint, make_network, rebuild_network
from manyways.models.predictor import Predictor

SPECS: dict[str, Spec] = {
    "image": ImageSpec(1, 8, 8),
    "table": TableSpec(3, ((0, 1), (1, 3)), (0,)),
    "says": TextSpec(50, 12),
    "sound": AudioSpec(8000, 2000),
}


def inputs(rows: int = 4) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {
        "image": torch.randint(0, 256, (rows, 1, 8, 8), generator=rng, dtype=torch.uint8),
        "table": torch.randn(rows, 3, generator=rng),
        "says": torch.randint(3, 50, (rows, 12), generator=rng),
        "sound": torch.randint(-9000, 9000, (rows, 2000), generator=rng, dtype=torch.int16),
    }


def network(**options: Any) -> Network:
    torch.manual_seed(0)
    made = make_network(SPECS, **options).eval()
    made.head = LinearHead(made.width, 5)
    return made


def test_features_are_those_of_every_modality_side_by_side() -> None:
    made = network()
    features = made.features(inputs())
    assert features.shape == (4, made.width)
    widths = [part.width for part in made.backbones]
    assert sum(widths) == made.width
    assert len(widths) == 4
    for name, part in zip(SPECS, features.split(widths, dim=1), strict=True):
        alone = make_network({name: SPECS[name]}).eval()
        alone.load_state_dict(
            {
                key.replace(f"backbones.{list(SPECS).index(name)}.", "backbones.0."): value
                for key, value in made.state_dict().items()
                if key.startswith(f"backbones.{list(SPECS).index(name)}.")
            }
        )
        torch.testing.assert_close(alone.features({name: inputs()[name]}), part)


def test_outputs_are_the_heads() -> None:
    made = network()
    assert made.head is not None
    torch.testing.assert_close(made(inputs()), made.head(made.features(inputs())))
    made.head = None
    with pytest.raises(ModelError, match=r"only embeds; chain a method that adds a head: model_method >> FineTune"):
        made(inputs())


def test_the_config_makes_the_same_architecture() -> None:
    made = network(size=0.5)
    other = rebuild_network(made.config()).eval()
    assert other.config() == made.config()
    other.load_state_dict(made.state_dict())
    assert torch.equal(made(inputs()), other(inputs()))
    made.head = None
    assert rebuild_network(made.config()).head is None


@pytest.mark.parametrize(
    "config", [{}, {"backbones": [{"name": "convnet"}], "head": None}, {"backbones": 3, "head": {}}]
)
def test_a_damaged_config_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="The saved description of the network is damaged"):
        rebuild_network(config)


def test_size_multiplies_the_width() -> None:
    assert network(size=2.0).width > network().width > network(size=0.5).width


def test_a_backbone_is_used_where_its_kind_fits() -> None:
    named = make_network(SPECS, backbone="vit")
    assert [part.name for part in named.parts][0] == "vit"
    assert [part.name for part in named.parts][1:] == [part.name for part in make_network(SPECS).parts][1:]
    with pytest.raises(ParameterError, match="'vit' reads none of this data's inputs, which are: audio, table"):
        make_network({"a": SPECS["sound"], "b": SPECS["table"]}, backbone="vit")
    with pytest.raises(ParameterError, match="There is no backbone 'convnut'.*Did you mean 'convnet'"):
        make_network(SPECS, backbone="convnut")


def test_layer_groups_hold_every_parameter_once_and_end_with_the_head() -> None:
    made = network()
    groups = made.layer_groups()
    flat = [id(p) for group in groups for p in group]
    assert len(flat) == len(set(flat))
    assert set(flat) == {id(p) for p in made.parameters()}
    assert made.head is not None
    assert [id(p) for p in groups[-1]] == [id(p) for p in made.head.parameters()]
    last = {id(p) for part in made.parts for p in (part.layer_groups() or [[]])[-1]}
    assert {id(p) for p in groups[-2]} == last, "backbones of different depth must end together"


def test_checkpoints_are_told_from_names(tmp_path: Any) -> None:
    assert is_checkpoint("owner/name")
    assert is_checkpoint(str(tmp_path))
    assert not is_checkpoint("convnet")


@pytest.mark.parametrize("chunk", [1 << 24, 300])
def test_images_are_standardised_by_their_own_statistics(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = np.stack([rng.integers(0, 100, (3000, 8, 8)), rng.integers(100, 256, (3000, 8, 8))], 1).astype(np.uint8)
    images = np.concatenate([images, np.full((3000, 1, 8, 8), 7, np.uint8)], 1)
    monkeypatch.setattr(storage, "CHUNK_BYTES", chunk * 3)
    made = make_network({"image": ImageSpec(3, 8, 8)})
    chosen = np.arange(0, 3000, 2)
    made.measure(Encoded({"image": images}, chosen))
    (part,) = made.parts
    assert isinstance(part, ImageBackbone)
    pixels = images[chosen] / 255
    np.testing.assert_allclose(part.mean.numpy(), pixels.mean((0, 2, 3)), rtol=1e-5)
    wanted = np.maximum(pixels.std((0, 2, 3), ddof=1), 1e-3)
    np.testing.assert_allclose(part.std.numpy(), wanted, rtol=1e-5)


def test_large_rows_go_through_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations are many times the size of their inputs, so that a batch is bounded in bytes, too."""
    images: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (90, 1, 8, 8), np.uint8)
    columns = [Column("image", "image", images), Column("y", "category", np.arange(90) % 5)]
    data = Data.from_columns(columns, {"input": ["image"], "label": ["y"]})
    made = make_network({"image": SPECS["image"]}).eval()
    made.head = LinearHead(made.width, 5)
    lineage = Lineage({}, "by hand", 0, "", "", "")
    model = Predictor(
        network=made,
        inputs=InputEncoding.fit(data),
        target=Target.fit(data),
        gives=frozenset({"classify"}),
        lineage=lineage,
    )
    seen: list[int] = []
    made.register_forward_pre_hook(lambda _, given: seen.append(len(given[0]["image"])))
    whole = model.outputs(data)
    assert seen == [90]
    monkeypatch.setattr(running, "BYTES_AT_ONCE", 64 * 20)
    pieces = model.outputs(data)
    assert seen[1:] == [20, 20, 20, 20, 10]
    np.testing.assert_allclose(whole, pieces, rtol=1e-4, atol=1e-5)
