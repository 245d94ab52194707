import pytest
import torch

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.data.views import (
    ImageContrastive,
    TableContrastive,
    TextStrong,
    Views,
    view_names,
    view_of,
)
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

SPECS: dict[str, Spec] = {
    "photo": ImageSpec(3, 16, 16),
    "columns": TableSpec(4, ((0, 1), (1, 4)), (0,)),
    "caption": TextSpec(100, 12),
    "sound": AudioSpec(8000, 800),
}


def inputs(rows: int = 16) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    caption = torch.randint(4, 100, (rows, 12), generator=rng)
    caption[:, 0] = 3
    return {
        "photo": torch.randint(0, 256, (rows, 3, 16, 16), dtype=torch.uint8, generator=rng),
        "columns": torch.eye(4)[torch.randint(1, 4, (rows,), generator=rng)],
        "caption": caption,
        "sound": torch.randint(-9000, 9000, (rows, 800), dtype=torch.int16, generator=rng),
    }


@pytest.mark.parametrize("strength", ["weak", "strong", "contrastive"])
def test_all_modalities_at_once_whatever_their_order(strength: str) -> None:
    batch = inputs()
    views = getattr(Views(SPECS), strength)
    out = views(batch, torch.Generator().manual_seed(1))
    again = views(dict(reversed(batch.items())), torch.Generator().manual_seed(1))
    assert set(out) == set(batch)
    for name, value in out.items():
        assert value.shape == batch[name].shape
        assert torch.equal(value, again[name])


def test_strong_changes_more_than_weak() -> None:
    batch = inputs(200)
    weak = Views(SPECS).weak(batch, torch.Generator().manual_seed(1))
    strong = Views(SPECS).strong(batch, torch.Generator().manual_seed(1))
    for name in ("columns", "caption"):
        assert (strong[name] != batch[name]).float().mean() > (weak[name] != batch[name]).float().mean()


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    views, rng = Views(SPECS), torch.Generator().manual_seed(1)
    for apply in (views.weak, views.strong, views.contrastive):
        apply(inputs(), rng)
    assert torch.equal(torch.get_rng_state(), state)


def test_contrastive_views_are_those_of_the_field() -> None:
    assert isinstance(view_of("contrastive", SPECS["photo"]), ImageContrastive)
    assert view_of("contrastive", SPECS["columns"]) == TableContrastive(SPECS["columns"], corruption=0.6, noise=0.0)
    assert view_of("contrastive", SPECS["caption"]) == TextStrong(SPECS["caption"])


def test_options_reach_the_view_and_unknown_ones_are_refused() -> None:
    still = view_of("weak", SPECS["photo"], shift=0.0, flip=False)
    batch = inputs()["photo"]
    torch.testing.assert_close(still(batch, torch.Generator()), batch / 255)
    with pytest.raises(ParameterError, match="TextStrong has no option rotation; its options are drop, swap"):
        view_of("strong", SPECS["caption"], rotation=3)


def test_an_input_without_a_spec_is_refused() -> None:
    with pytest.raises(DataError, match="No spec describes the input video; described are photo"):
        Views(SPECS).weak({"video": torch.zeros(2, 2)}, torch.Generator())


def test_a_view_that_a_kind_of_input_has_not_is_its_weak_one() -> None:
    assert view_of("mirrored", SPECS["caption"]) == view_of("weak", SPECS["caption"])
    assert {"weak", "strong", "contrastive", "dihedral", "photometric"} == set(view_names())


def test_a_view_that_no_input_has_is_refused() -> None:
    seen = {"photo": inputs()["photo"]}
    with pytest.raises(ParameterError, match=r"The view 'mirrored' is of other kinds of inputs than these \(image\)"):
        Views({"photo": SPECS["photo"]}).see("mirrored", seen, torch.Generator())
    assert Views({"photo": SPECS["photo"]}).see("weak", seen, torch.Generator())["photo"].shape == seen["photo"].shape
