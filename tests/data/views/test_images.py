import pytest
import torch

from manyways.data.specs import ImageSpec
from manyways.data.views import ImageContrastive, ImageStrong, ImageWeak
from manyways.data.views.images import OPERATIONS
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

KINDS = [ImageWeak, ImageStrong, ImageContrastive]
SPECS = [ImageSpec(1, 8, 8), ImageSpec(3, 32, 24), ImageSpec(3, 64, 64), ImageSpec(1, 1, 3)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(spec: ImageSpec, rows: int) -> torch.Tensor:
    shape = (rows, spec.channels, spec.height, spec.width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(9))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 37])
def test_shape_type_range_and_seed(kind: type[ImageWeak], spec: ImageSpec, rows: int) -> None:
    batch = batch_of(spec, rows)
    before = batch.clone()
    view = kind(spec)
    out = view(batch, generator())
    assert out.shape == batch.shape
    assert out.dtype == torch.float32
    assert torch.equal(batch, before)
    assert torch.equal(out, view(batch, generator()))
    if rows:
        assert out.min() >= 0
        assert out.max() <= 1
    if rows > 1 and spec.height > 1:
        assert not torch.equal(out, view(batch, generator(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_and_floats_give_the_same_and_floats_stay_untouched(kind: type[ImageWeak]) -> None:
    spec = SPECS[1]
    batch = batch_of(spec, 16)
    floats = batch.float() / 255
    before = floats.clone()
    torch.testing.assert_close(kind(spec)(floats, generator()), kind(spec)(batch, generator()))
    assert torch.equal(floats, before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_its_own_parameters(kind: type[ImageWeak]) -> None:
    spec = ImageSpec(3, 32, 32)
    same = batch_of(spec, 1).expand(64, -1, -1, -1).contiguous()
    views = kind(spec)(same, generator()).flatten(1)
    assert len(views.unique(dim=0)) > 40


def test_weak_view_of_grey_images_turns_a_little_instead_of_mirroring() -> None:
    bar = torch.zeros(400, 1, 33, 33)
    bar[:, :, 2:31, 16] = 1
    views = ImageWeak(ImageSpec(1, 33, 33), shift=0)(bar, generator())[:, 0]
    columns = torch.arange(33.0)
    # The slope of the bar between two rows tells by how much it was turned and sheared.
    upper, lower = ((views[:, row] * columns).sum(1) / views[:, row].sum(1) for row in (10, 22))
    degrees = torch.rad2deg(torch.atan((upper - lower) / 12))
    assert 12 < degrees.abs().max() < 15 + 6.5
    assert degrees.std() > 5
    assert torch.equal(
        ImageWeak(ImageSpec(3, 33, 33), shift=0, flip=False)(bar.repeat(1, 3, 1, 1), generator())[:, :1], bar
    )


def test_weak_view_is_a_shift_of_at_most_an_eighth() -> None:
    spec = ImageSpec(1, 16, 24)
    batch = batch_of(spec, 200)
    out = ImageWeak(spec, turn=0)(batch, generator())
    seen = set()
    for image, view in zip(batch.float() / 255, out, strict=True):
        inner = view[0, 4:-4, 4:-4]
        moves = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if torch.equal(inner, image[0].roll((down, right), (0, 1))[4:-4, 4:-4])
        ]
        assert len(moves) == 1
        seen.add(moves[0])
    assert len(seen) == 35


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "flip", "flips"), [(1, None, False), (3, None, True), (1, True, True), (3, False, False)]
)
def test_flip_follows_the_channels_unless_told(
    kind: type[ImageWeak], channels: int, flip: bool | None, flips: bool
) -> None:
    spec = ImageSpec(channels, 32, 32)
    ramp = torch.linspace(0, 1, 32).expand(300, channels, 32, 32)
    quiet = (
        {}
        if kind is ImageWeak
        else {"operations": ("identity",), "draws": 1}
        if kind is ImageStrong
        else {"strength": 0}
    )
    out = kind(spec, flip=flip, **quiet)(ramp, generator())
    falling = (out[:, 0, :, 20:].mean((1, 2)) < out[:, 0, :, :12].mean((1, 2))).float().mean()
    assert falling == pytest.approx(0.5 if flips else 0, abs=0.1)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_acts_and_identity_does_not(name: str) -> None:
    spec = ImageSpec(3, 16, 16)
    coarse = torch.rand(64, 3, 4, 4, generator=generator(3)) * 0.6 + 0.3
    batch = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear")
    view = ImageStrong(spec, shift=0, flip=False, operations=(name,), draws=1, cutout=0)
    changed = (view(batch, generator()) - batch).abs().amax((1, 2, 3)) > 1e-3
    assert changed.float().mean() == 0 if name == "identity" else changed.float().mean() > 0.7


def test_magnitude_and_cutout_scale_the_change() -> None:
    spec = ImageSpec(1, 28, 28)
    batch = torch.zeros(200, 1, 28, 28)
    batch[:, :, 6:22, 6:22] = 1
    still = ImageStrong(spec, turn=0, shift=0, operations=("rotate", "translate_x"), magnitude=0, cutout=0)
    torch.testing.assert_close(still(batch, generator()), batch, atol=1e-5, rtol=0)
    covered = ImageStrong(spec, turn=0, shift=0, operations=("identity",), draws=1, cutout=0.5)(batch, generator())
    lost = (batch - covered).sum((1, 2, 3))
    assert lost.max() <= 14 * 14
    assert lost.max() > 100
    assert (lost == 0).any()


def test_tiny_digits_keep_most_of_their_content(real_digits: torch.Tensor) -> None:
    out = ImageStrong(ImageSpec(1, 8, 8), operations=OPERATIONS[:7])(real_digits, generator())
    kept = out.sum((1, 2, 3)) / (real_digits.float() / 255).sum((1, 2, 3))
    assert kept.median() > 0.75
    assert kept.quantile(0.02) > 0.35


@pytest.fixture
def real_digits() -> torch.Tensor:
    from sklearn.datasets import load_digits

    return torch.tensor(load_digits().images * (255 / 16)).to(torch.uint8)[:500, None]


def test_a_fifth_of_contrastive_colour_images_is_grey() -> None:
    spec = ImageSpec(3, 32, 32)
    out = ImageContrastive(spec)(batch_of(spec, 1000), generator())
    spread = (out.amax(1) - out.amin(1)).amax((1, 2))
    assert (spread < 1e-3).float().mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda spec: ImageWeak(spec, shift=0.7), r"ImageWeak.shift must be in \[0, 0.5\]; got 0.7"),
        (lambda spec: ImageStrong(spec, magnitude=2), r"ImageStrong.magnitude must be in \[0, 1\]; got 2"),
        (lambda spec: ImageStrong(spec, draws=99), r"ImageStrong.draws must be in \[0, 16\]; got 99"),
        (lambda spec: ImageStrong(spec, operations=("twirl",)), "may hold identity, .*; got twirl"),
        (lambda spec: ImageStrong(spec, operations=("noise", "noise")), "must hold each name once"),
        (lambda spec: ImageContrastive(spec, area=0), r"ImageContrastive.area must be in \[0.01, 1\]; got 0"),
    ],
)
def test_options_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make(ImageSpec(3, 32, 32))  # type: ignore[operator]


def test_a_batch_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[rows, 1, 8, 8\]; got \[4, 3, 8, 8\]"):
        ImageWeak(ImageSpec(1, 8, 8))(torch.zeros(4, 3, 8, 8), generator())


@pytest.mark.parametrize("paper", [0.0, 1.0])
def test_what_comes_in_from_outside_is_background(paper: float) -> None:
    spec = ImageSpec(1, 16, 16)
    batch = torch.full((64, 1, 16, 16), paper)
    batch[:, :, 4:12, 4:12] = 0.5
    moves = ImageStrong(spec, operations=("rotate", "translate_x", "translate_y", "scale"))
    out = moves(batch, generator())
    assert (out - 0.5).abs().amax((1, 2, 3)).min() > 0.4
    assert ((out - paper) * (0.5 - paper)).min() >= -1e-5
    assert ((out - 0.5) * (paper - 0.5)).min() >= -1e-5
