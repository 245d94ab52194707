"""Fixtures shared by all tests."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

# Workers side by side share the cores; each with a thread for every core would spend its time waiting for the others.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set by name, from $MANYWAYS_DATA or beside the repository; else the test skips."""

    def find(name: str) -> Path:
        places = [Path(place) for place in [os.environ.get("MANYWAYS_DATA")] if place]
        places.append(ROOT.parent / "shared" / "data")
        for place in places:
            if (place / name).exists():
                return place / name
        pytest.skip(f"{name} is in none of {', '.join(map(str, places))}; set MANYWAYS_DATA to its parent folder")

    return find


@pytest.fixture(scope="session")
def real_model() -> Callable[[str], Path]:
    """The folder of a pretrained model, as `make models` puts it or in $MANYWAYS_MODELS; else the test skips."""

    def find(name: str) -> Path:
        place = Path(os.environ.get("MANYWAYS_MODELS") or ROOT / ".models") / name
        if not place.is_dir():
            pytest.skip(f"{place} is not there; `make models` fetches it")
        return place

    return find


@pytest.fixture(scope="session")
def install() -> Callable[[Path, str, dict[str, dict[str, str]]], None]:
    """Write into a folder what an installer would of a package with entry points, a group at a time."""

    def write(folder: Path, name: str, points: dict[str, dict[str, str]]) -> None:
        facts = folder / f"{name}-1.0.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = [
            f"[manyways.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in members.items())
            for group, members in points.items()
        ]
        (facts / "entry_points.txt").write_text("\n".join(groups))

    return write


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that is marked quick as soon as it, or a fixture that it asks for, starts to train."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("quick"):
            patch.setattr("manyways.methods.bases.gradient.train", _refuse)
        return (yield)


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("A test that trains is not quick: take its mark off.")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """A single thread for torch: batches of a few rows gain nothing from more, and a busy machine loses much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MANYWAYS_HOME of its own for every test, so that caches and stores never leak between them."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MANYWAYS_HOME", str(folder))
    return folder
