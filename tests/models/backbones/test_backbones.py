"""What holds for every backbone that starts from nothing."""

import copy
import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.errors import ManywaysError, ModelError, ParameterError
from manyways.models.backbones import BACKBONES, Backbone, make_backbone

TABLE = TableSpec(7, ((0, 1), (1, 4), (4, 7)), (0,))
TEXT = TextSpec(vocabulary=50, length=12)
AUDIO = AudioSpec(rate=8000, samples=3000)


def images(spec: ImageSpec) -> Callable[..., Tensor]:
    return lambda *rows: torch.randint(0, 256, (*rows, spec.channels, spec.height, spec.width), dtype=torch.uint8)


def token_ids(*rows: int) -> Tensor:
    ids = torch.randint(4, 50, (*rows, 12))
    ids[..., 0] = 3
    ids[..., 9:] = 0
    ids[..., ::2, 6:] = 0
    return ids


DIGITS, GARMENTS = ImageSpec(1, 8, 8), ImageSpec(1, 28, 28)
ODD, LARGE = ImageSpec(3, 9, 14), ImageSpec(3, 64, 64)
CASES: list[tuple[str, Spec, Callable[..., Tensor]]] = [
    *(
        (name, spec, images(spec))
        for name, spec in (
            ("convnet", DIGITS),
            ("convnet", ODD),
            ("resnet", ODD),
            ("vit", DIGITS),
            ("vit", ODD),
        )
    ),
    ("perceptron", TABLE, lambda *rows: torch.randn(*rows, 7)),
    ("text-transformer", TEXT, token_ids),
    ("audio-net", AUDIO, lambda *rows: torch.randint(-9000, 9000, (*rows, 3000), dtype=torch.int16)),
]
each_case = pytest.mark.parametrize(
    ("name", "spec", "draw"), CASES, ids=[f"{name}-{index}" for index, (name, *_) in enumerate(CASES)]
)


def without_dropout(name: str, spec: Spec) -> Backbone:
    config = BACKBONES.find(name).sized(spec, 0.5)
    return BACKBONES.rebuild(config | ({"dropout": 0.0} if "dropout" in config else {}))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@each_case
def test_features_have_the_stated_width_and_tell_rows_apart(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    backbone = make_backbone(name, spec).eval()
    features = backbone(draw(6))
    assert features.shape == (6, backbone.width)
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    assert torch.pdist(features).min() > 1e-4


@each_case
def test_rows_do_not_influence_each_other_in_evaluation(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    backbone = make_backbone(name, spec).eval()
    x = draw(5)
    alone = torch.cat([backbone(row) for row in x.split(1)])
    torch.testing.assert_close(backbone(x), alone, rtol=1e-4, atol=1e-5)


@each_case
def test_layer_groups_hold_every_parameter_once(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    backbone = make_backbone(name, spec)
    groups = backbone.layer_groups()
    flat = [id(parameter) for group in groups for parameter in group]
    assert len(groups) >= 2
    assert all(groups)
    assert len(flat) == len(set(flat))
    assert set(flat) == {id(parameter) for parameter in backbone.parameters()}


@each_case
def test_config_and_weights_give_the_same_network_again(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    backbone = make_backbone(name, spec, 0.5)
    x = draw(8)
    backbone(x)
    again = BACKBONES.rebuild(json.loads(json.dumps(backbone.config)))
    again.load_state_dict(backbone.state_dict())
    assert type(again) is type(backbone)
    assert again.config == backbone.config
    torch.testing.assert_close(again.eval()(x), backbone.eval()(x), rtol=0, atol=0)


@each_case
def test_the_same_seed_gives_the_same_weights(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.nn.utils.parameters_to_vector(make_backbone(name, spec).parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@each_case
def test_size_grows_the_network(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    counts = [
        sum(parameter.numel() for parameter in make_backbone(name, spec, size).parameters()) for size in (0.5, 1.0, 2.0)
    ]
    assert counts[0] < counts[1] < counts[2]
    for size in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="size must be"):
            make_backbone(name, spec, size)


@each_case
def test_gradient_reaches_every_parameter(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    backbone = make_backbone(name, spec)
    features = backbone(draw(16))
    (features * torch.randn_like(features)).sum().backward()
    idle = [key for key, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shared", [True, False], ids=["same rows", "own rows"])
@each_case
def test_members_under_vmap_equal_members_one_by_one(
    name: str, spec: Spec, draw: Callable[..., Tensor], training: bool, shared: bool
) -> None:
    members = [without_dropout(name, spec).train(training) for _ in range(3)]
    parameters, buffers = stack_module_state(members)  # type: ignore[arg-type]
    x = draw(8) if shared else draw(3, 8)
    skeleton = copy.deepcopy(members[0]).to("meta")

    def run(own: dict[str, Tensor], kept: dict[str, Tensor], rows: Tensor) -> Tensor:
        return functional_call(skeleton, (own, kept), (rows,))

    together = vmap(run, in_dims=(0, 0, None if shared else 0), randomness="different")(parameters, buffers, x)
    alone = torch.stack([member(x if shared else x[i]) for i, member in enumerate(members)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    for key, stacked in buffers.items():
        one_by_one = torch.stack([member.get_buffer(key) for member in members])
        torch.testing.assert_close(stacked, one_by_one, rtol=1e-4, atol=1e-5)


@each_case
def test_gradients_under_vmap_equal_gradients_one_by_one(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    members = [without_dropout(name, spec) for _ in range(2)]
    parameters, buffers = stack_module_state(members)  # type: ignore[arg-type]
    x = draw(2, 4)
    goal = torch.randn(4, members[0].width)

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], rows: Tensor) -> Tensor:
        return (functional_call(members[0], (own, kept), (rows,)) * goal).mean()

    detached = {key: value.detach() for key, value in parameters.items()}
    together = vmap(grad(loss), randomness="different")(detached, buffers, x)
    for at, member in enumerate(members):
        (member(x[at]) * goal).mean().backward()
        for key, parameter in member.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(together[key][at], parameter.grad, rtol=1e-3, atol=1e-5)


@each_case
def test_default_dropout_is_mild(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    rates = [layer.p for layer in make_backbone(name, spec).modules() if isinstance(layer, torch.nn.Dropout)]
    assert all(rate <= 0.1 for rate in rates)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DIGITS, "convnet"),
        (ImageSpec(3, 40, 40), "convnet"),
        (ImageSpec(3, 40, 41), "resnet"),
        (TABLE, "perceptron"),
        (TEXT, "text-transformer"),
        (AUDIO, "audio-net"),
    ],
)
def test_auto_picks_by_kind_and_resolution(spec: Spec, expected: str) -> None:
    assert make_backbone("auto", spec).config["name"] == expected


def test_every_backbone_of_the_folder_is_found() -> None:
    expected = {"perceptron", "convnet", "resnet", "vit", "text-transformer", "audio-net", "pretrained"}
    assert expected <= set(BACKBONES)
    assert {name for name, *_ in CASES} | {"pretrained"} == expected
    assert all(name == kind.name for name, kind in BACKBONES.all().items())


def test_an_unknown_name_lists_the_known_and_suggests_the_closest() -> None:
    with pytest.raises(ParameterError, match=r"no backbone 'resnet18'.*perceptron.*Did you mean 'resnet'\?"):
        make_backbone("resnet18", LARGE)
    with pytest.raises(ModelError, match="no backbone 'convnets'"):
        BACKBONES.rebuild({"name": "convnets"})


def test_a_config_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match=r"description of the backbone 'perceptron' does not fit: .*'depth'"):
        BACKBONES.rebuild(make_backbone("perceptron", TABLE).config | {"depth": 3})


@each_case
def test_another_kind_of_data_is_refused(name: str, spec: Spec, draw: Callable[..., Tensor]) -> None:
    other = TEXT if spec.kind != "text" else TABLE
    with pytest.raises(ManywaysError, match=rf"'{name}' reads {spec.kind} inputs; this input is {other.kind}"):
        make_backbone(name, other)
