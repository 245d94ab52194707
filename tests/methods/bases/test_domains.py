"""Learning for a domain without labels: what a batch holds, what is refused, what is gained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.coral import CORAL, coral_loss
from manyways.methods.transfer.dann import DANN
from manyways.randomness import generator


def prints(other: float, count: int = 600) -> Data:
    """Digits of scikit-learn, half of them in another print: paler and noisier by `other`; those have no labels."""
    from manyways.data.read import read

    digits = read("digits").select(np.arange(count))
    (image,) = digits.inputs
    rng = np.random.default_rng(0)
    pixels = image.take(digits.rows).astype(float)
    second = rng.random(count) < 0.5
    changed = pixels * (1 - other) + 120 * other + 80 * other * rng.normal(size=pixels.shape)
    pixels = np.where(second[:, None, None, None], changed, pixels).clip(0, 255).astype(np.uint8)
    columns = [
        Column("image", "image", pixels),
        Column("label", "category", digits.take("label")),
        Column("print", "category", np.array(["a", "b"], object)[second.astype(int)]),
    ]
    roles = {"input": ["image"], "label": ["label"], "domain": ["print"]}
    return Data.from_columns(columns, roles, name="prints").with_target_domain("b")


@pytest.mark.parametrize("kind", [DANN, CORAL])
def test_a_batch_holds_labelled_rows_and_as_many_of_every_domain(kind: type[DANN] | type[CORAL]) -> None:
    data = prints(0.3, count=200)
    method = kind(batch_size=10, augment=False)
    learner = method.begin(data, None, 0)
    learner.steps = 10
    batch = method.draw(learner, 5, generator(0))
    assert batch["inputs"]["image"].shape[0] == 20 == method.examples_per_step(learner)
    assert batch["domains"].tolist() == [0] * 5 + [1] * 5
    assert batch["progress"] == 0.5
    pixels = data.training.take("image")
    rows = [int((pixels == each.numpy()).all((1, 2, 3)).argmax()) for each in batch["inputs"]["image"]]
    places = data.training.take("print")[rows].tolist()
    assert places == ["a"] * 10 + ["a"] * 5 + ["b"] * 5
    assert batch["labels"].tolist() == [data.classes.index(each) for each in data.training.take("label")[rows[:10]]]


@pytest.mark.parametrize("kind", [DANN, CORAL])
def test_three_domains_count_alike(kind: type[DANN] | type[CORAL]) -> None:
    data = prints(0.3, count=200)
    values = data.columns["print"].take(np.arange(200))
    values[data.rows[data.labelled][:9]] = "c"
    data = replace(data, columns={**data.columns, "print": replace(data.columns["print"], values=values)})
    method = kind(batch_size=30)
    learner = method.begin(data, None, 0)
    batch = method.draw(learner, 0, generator(0))
    assert batch["domains"].bincount().tolist() == [10, 10, 10]
    assert learner.domains.names == ("a", "b", "c")
    model = method.fit(data, budget=2)
    assert model.lineage.facts["domains"] == ["a", "b", "c"]
    assert model.lineage.facts["target_domains"] == ["b"]


@pytest.mark.parametrize("kind", [DANN, CORAL])
def test_one_domain_is_refused(kind: type[DANN] | type[CORAL]) -> None:
    data = prints(0.3, count=100)
    alone = data.select(data.take("print") == "a")
    with pytest.raises(NeedsError, match=r"two domains or more, and all training rows are of 'a' in 'print'"):
        kind().fit(alone, budget=1)
    nowhere = replace(data, roles={role: names for role, names in data.roles.items() if role != "domain"})
    with pytest.raises(NeedsError, match="needs a domain column, and no column has the role domain"):
        kind().fit(nowhere, budget=1)


def test_the_target_gains() -> None:
    """In another print DANN is better than the source alone, by more than the error of 300 test rows."""
    data = prints(0.6, 900)
    plain, adapted = (
        method.fit(data, budget=80, seed=0).evaluate(data.test)["accuracy"] for method in (Supervised(), DANN())
    )
    assert adapted > plain + 0.03


def test_covariances_come_together() -> None:
    data, apart = prints(0.6, 400), []
    for method in (CORAL(weight=0), CORAL()):
        model = method.fit(data, budget=40, seed=0)
        features = [torch.from_numpy(model.embed(data.select(data.take("print") == place))) for place in "ab"]
        apart.append(float(coral_loss(*features)))
    assert apart[1] < 0.3 * apart[0]


def test_hidden_labels_of_the_target_are_not_looked_at() -> None:
    data = prints(0.3, count=100)
    other = replace(
        data,
        columns={**data.columns, "label": replace(data.label, values=_relabelled(data))},
    )
    first, second = (DANN(batch_size=8).fit(each, budget=2, seed=0) for each in (data, other))
    assert all(map(torch.equal, first.network.parameters(), second.network.parameters()))


def _relabelled(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    values = np.array(data.label.take(np.arange(len(data.label))), copy=True)
    values[data.rows[~data.labelled]] = data.classes[0]
    return values
