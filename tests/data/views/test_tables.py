import pytest
import torch

from manyways.data.specs import TableSpec
from manyways.data.views import TableStrong, TableWeak
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

SPEC = TableSpec(width=9, groups=((0, 1), (1, 5), (5, 6), (6, 9)), numeric=(0, 2))
CATEGORIES = ((1, 5), (6, 9))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int) -> torch.Tensor:
    table = torch.randn(count, 9, generator=generator(5))
    for start, stop in CATEGORIES:
        codes = torch.randint(stop - start, (count,), generator=generator(start))
        table[:, start:stop] = torch.nn.functional.one_hot(codes, stop - start).float()
    return table


@pytest.mark.parametrize("kind", [TableWeak, TableStrong])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_shape_seed_and_one_hot(kind: type[TableWeak], count: int) -> None:
    table = rows(count)
    before = table.clone()
    out = kind(SPEC)(table, generator())
    assert out.shape == table.shape
    assert out.dtype == torch.float32
    assert torch.equal(table, before)
    assert torch.equal(out, kind(SPEC)(table, generator()))
    for start, stop in CATEGORIES:
        assert ((out[:, start:stop] == 0) | (out[:, start:stop] == 1)).all()
        assert (out[:, start:stop].sum(1) == 1).all()


def test_weak_noise_is_on_the_numbers_only() -> None:
    table = rows(4000)
    change = TableWeak(SPEC, noise=0.2)(table, generator()) - table
    deviation = change.std(0)
    assert deviation[[0, 5]].tolist() == pytest.approx([0.2, 0.2], rel=0.05)
    assert deviation[[1, 2, 3, 4, 6, 7, 8]].abs().max() == 0


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_corruption_takes_whole_columns_of_other_rows_at_its_rate(probability: float) -> None:
    count = 1500
    table = torch.arange(count * 9.0).view(count, 9)  # every value says its row and column
    out = TableStrong(SPEC, corruption=probability, noise=0)(table, generator())
    origin, column = out.long() // 9, out.long() % 9
    assert torch.equal(column, torch.arange(9).expand(count, 9))
    moved = origin != torch.arange(count)[:, None]
    for start, stop in SPEC.groups:
        assert (origin[:, start:stop] == origin[:, start : start + 1]).all()
        assert moved[:, start].float().mean() == pytest.approx(probability, abs=0.04)
    if 0 < probability < 1:
        assert len(moved.unique(dim=0)) > 8


def test_the_groups_of_one_source_column_move_together() -> None:
    spec = TableSpec(width=7, groups=((0, 1), (1, 3), (3, 5), (5, 7)), numeric=(0,), together=(0, 1, 1, 3))
    table = torch.arange(500 * 7.0).view(500, 7)
    origin = TableStrong(spec, corruption=0.5, noise=0)(table, generator()).long() // 7
    assert (origin[:, 1:5] == origin[:, 1:2]).all()
    assert (origin[:, 5] != origin[:, 1]).any()
    assert (origin[:, 0] != origin[:, 1]).any()


def test_columns_outside_every_group_stay() -> None:
    spec = TableSpec(width=3, groups=((0, 1),), numeric=(0,))
    table = torch.randn(40, 3, generator=generator())
    out = TableStrong(spec, corruption=1.0)(table, generator())
    assert torch.equal(out[:, 1:], table[:, 1:])
    assert (out[:, 0] != table[:, 0]).all()


def test_wrong_options_and_shapes_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"TableStrong.corruption must be in \[0, 1\]; got -0.1"):
        TableStrong(SPEC, corruption=-0.1)
    with pytest.raises(DataError, match=r"\[rows, 9\]; got \[4, 8\]"):
        TableWeak(SPEC)(torch.zeros(4, 8), generator())


def test_the_donor_is_always_another_row() -> None:
    table = rows(2)
    out = TableStrong(SPEC, corruption=1.0, noise=0)(table, generator())
    assert torch.equal(out, table.flip(0))
