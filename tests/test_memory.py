"""Data larger than memory: files are read as needed, and training holds little beside the encoded rows."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

resource = pytest.importorskip("resource", reason="limits of address space are a matter of Unix")

FILE_BYTES, LIMIT_BYTES = 1_400_000_000, 1_900_000_000
"""The file does not fit into the limit beside torch and the other libraries, which take 0.6 GB and more."""

SIDE = 128

UNDER_A_LIMIT = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))  # as `ulimit -v` does
import numpy as np
import torch
torch.set_num_threads(1)
import manyways as mw
place = Path(sys.argv[1])
labels = {"label": np.arange(int(sys.argv[3])) % 3, "kinds": {"label": "category"}} if place.suffix == ".npy" else {}
data = mw.read(place, **labels)
model = mw.Supervised().fit(data, budget="5 steps")
found = model.predict(data.select(np.arange(0, len(data), len(data) // 7)))
print(json.dumps({"rows": len(data), "steps": model.lineage.steps, "found": found.tolist()}))
"""

PEAK = """
import json, sys
import numpy as np
import torch
torch.set_num_threads(1)
import manyways as mw
from manyways.comparison.job import peak_memory_mb, reset_peak_memory
reset_peak_memory()
data = mw.read(sys.argv[1]).with_validation(0.02)
method = mw.parse_method(sys.argv[2])
model = method.fit(data, budget="10 steps")
model.evaluate(data.test.select(np.arange(2000)))
encoded = model.inputs.encode(data)
held = sum(len(store) * store[[0]].nbytes for store in encoded.stores.values())
print(json.dumps({"peak": peak_memory_mb() * 1e6, "encoded": held, "rows": len(data)}))
"""


def run(script: str, *words: str | int | Path) -> dict[str, object]:
    """What `script` prints as JSON in a process of its own, with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def idx(folder: Path) -> tuple[Path, int]:
    """A folder with IDX images, all black and so without blocks on the disk, and their labels."""
    folder.mkdir()
    count = FILE_BYTES // SIDE**2
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(struct.pack(">IIII", 0x803, count, SIDE, SIDE))
        file.truncate(16 + count * SIDE**2)
    labels = (np.arange(count) % 3).astype(np.uint8)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
    return folder, count


def npy(folder: Path) -> tuple[Path, int]:
    """A .npy file of colour images, all black."""
    folder.mkdir()
    count = FILE_BYTES // (3 * SIDE**2)
    path = folder / "images.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, SIDE, SIDE)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 3 * SIDE**2)
    return path, count


def matrix(folder: Path) -> tuple[Path, int]:
    """A .npy file of numbers, 4,000 a row, all zero."""
    folder.mkdir()
    count = FILE_BYTES // (4 * 4000)
    path = folder / "numbers.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (count, 4000)})
        file.truncate(file.tell() + count * 4 * 4000)
    return path, count


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to RLIMIT_AS")
@pytest.mark.parametrize("make", [idx, npy, matrix])
def test_a_file_larger_than_half_the_memory_trains(tmp_path: Path, make: Callable[[Path], tuple[Path, int]]) -> None:
    """Under `ulimit -v`, where a mapping of the file counts whether its pages are used or not."""
    place, count = make(tmp_path / "large")
    file = max((each for each in tmp_path.rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
    assert file.stat().st_size > LIMIT_BYTES / 2
    found = run(UNDER_A_LIMIT, place, LIMIT_BYTES, count)
    assert (found["rows"], found["steps"]) == (count, 5)
    assert found["found"]


@pytest.mark.parametrize("method", ["supervised", "kmeans"])
def test_a_fit_holds_the_encoded_rows_and_less_than_a_gigabyte(real_data: Callable[[str], Path], method: str) -> None:
    """torch and all other libraries included."""
    found = run(PEAK, real_data("fashion-mnist"), method)
    assert found["rows"] == 70_000
    assert found["encoded"] == 70_000 * 28 * 28
    assert isinstance(found["peak"], float)
    assert found["peak"] < 70_000 * 28 * 28 + 1e9
