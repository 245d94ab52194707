"""A thousand models over a million rows are asked in less than a second, and take little room."""

import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest

import manyways as mw
from manyways.data.columns import ids_from_text

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_a_thousand_models_over_a_million_rows(home: Path, store: mw.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("benchmark_of_lineage", BENCHMARKS / "lineage.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    keys, row = benchmark.fill(store)
    with store.database.reading() as db:
        sizes = [len(bits) for (bits,) in db.execute("SELECT bits FROM row_sets")]
    assert max(sizes) < 200_000, "a million rows in no order are a bit each"
    assert store.database.path.stat().st_size < 1_000 * 200_000
    began = time.process_time()
    assert 450 < len(store.reached(rows=ids_from_text([row]))) < 550
    assert len(store.reached(subject="person-77")) == 1000
    assert time.process_time() - began < 1.0
    for words in (["--row", row], ["--subject", "person-77"], [keys[500]]):
        assert benchmark.asked(home, *words) < 1.0, words
