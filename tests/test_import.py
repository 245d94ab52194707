"""`import manyways` is quick: it loads nothing heavy, and its names come when they are first used."""

import subprocess
import sys

import pytest

import manyways as mw

HEAVY = ("torch", "numpy", "scipy", "sklearn", "polars", "transformers", "datasets", "rich", "tyro", "PIL")


def run(script: str) -> list[str]:
    """The words that `script` prints in a fresh process."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_loads_nothing_heavy() -> None:
    loaded = set(run("import manyways, sys; print(*sys.modules)"))
    assert "manyways" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_errors_and_discovery_load_nothing_heavy() -> None:
    script = (
        "import sys\nimport manyways.errors\nfrom manyways.methods.discovery import modules\n"
        "assert 'fixmatch' in modules()\nprint(*sys.modules)"
    )
    assert set(run(script)).isdisjoint(HEAVY)


def test_an_unknown_method_is_told_before_anything_heavy_is_loaded() -> None:
    script = (
        "import sys\nfrom manyways.methods.discovery import find_method\n"
        "try:\n    find_method('fixmach')\nexcept ValueError as error:\n    assert 'fixmatch' in str(error)\n"
        "    print(*sys.modules)"
    )
    loaded = set(run(script))
    assert "manyways.methods.discovery" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_name_loads_what_it_needs_and_no_more() -> None:
    loaded = set(run("import sys\nfrom manyways import Budget\nprint(*sys.modules)"))
    assert "manyways.training.budget" in loaded
    assert loaded.isdisjoint(HEAVY)
    loaded = set(run("import sys\nfrom manyways import read\nread('digits')\nprint(*sys.modules)"))
    assert "numpy" in loaded
    assert "torch" not in loaded, "reading data needs no torch"


@pytest.mark.parametrize("name", ["FixMatch", "Supervised", "SimCLR", "KMeans", "ActiveLearning"])
def test_methods_are_names_of_the_package(name: str) -> None:
    method = getattr(mw, name)
    assert method.__name__ == name
    assert getattr(mw, name) is method


def test_public_names_are_what_they_say() -> None:
    from manyways.comparison.compare import compare
    from manyways.models.saving import load_model

    assert mw.compare is compare
    assert mw.load is load_model
    assert mw.Model.__name__ == "Model"


@pytest.mark.parametrize("name", ["Fixmatch", "fixmatch", "Nothing", "nothing", "__path_of_dreams__", "_hidden"])
def test_what_is_no_name_is_an_attribute_error(name: str) -> None:
    assert not hasattr(mw, name)
    with pytest.raises(AttributeError):
        getattr(mw, name)


def test_a_method_in_other_capitals_is_suggested() -> None:
    with pytest.raises(AttributeError, match=r"manyways has no 'Fixmatch'\. Did you mean 'FixMatch'\?"):
        mw.Fixmatch  # noqa: B018


def test_submodules_can_still_be_imported() -> None:
    assert run("import manyways\nfrom manyways import errors\nprint(errors.__name__)") == ["manyways.errors"]


def test_dir_lists_every_public_name_and_method() -> None:
    names = dir(mw)
    assert {"read", "compare", "advise", "load", "Data", "Model", "Chain", "Budget", "Run"} <= set(names)
    assert {"FixMatch", "SimCLR", "Supervised", "LabelPropagation"} <= set(names)
    assert names == sorted(names)
    for name in names:
        getattr(mw, name)
