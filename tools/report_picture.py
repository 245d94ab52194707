"""Take the picture of a report that the README begins with: python tools/report_picture.py REPORT.

The report is that of a comparison on SST-2 (sentences of films, good or bad) with 200 labels: a pretrained encoder, a
linear model, and networks from scratch, side by side. This makes it, where $MANYWAYS_DATA holds sst2/*.tsv:

    python tools/report_picture.py --compare sst2.html

The picture shows the page as far as the table of all entries. A browser of the Chromium family takes it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

METHODS = (
    "linear",
    "supervised",
    "self-training",
    "fine-tune(backbone='{checkpoint}')",
    "linear-probe(backbone='{checkpoint}')",
)
CHECKPOINT = Path(".models/all-MiniLM-L6-v2")
SHOWN = "<!-- the end of the table -->"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, TALLEST, SCALE, MARGIN = 1280, 3000, 1.5, 40


def main() -> None:
    """Make the report, if asked, and its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("docs/report.png"))
    parser.add_argument("--compare", action="store_true", help="compare on SST-2 first, and write the report there")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seeds", default="3")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    if given.compare:
        compare(given.report, given.methods.format(checkpoint=given.checkpoint.resolve()), given.budget, given.seeds)
    take(given.report, given.picture)


def compare(report: Path, methods: str, budget: str, seeds: str) -> None:
    """Write the report of SST-2 with 200 labels; its own test sentences are the test rows."""
    folder = Path(os.environ["MANYWAYS_DATA"], "sst2")
    with tempfile.TemporaryDirectory() as place:
        for part, name in (("train", "sst2"), ("test", "test")):  # the files have no line of names
            rows = (folder / f"{part}.tsv").read_text(encoding="utf-8")
            Path(place, f"{name}.tsv").write_text(f"sentence\tlabel\n{rows}", encoding="utf-8")
        words = ["compare", "sst2.tsv", "--test", "test.tsv", "--labels", "200", "--methods", methods]
        words += ["--budget", budget, "--seeds", seeds, "--report", str(report.resolve())]
        words += ["--json", str(report.resolve().with_suffix(".json"))]
        subprocess.run([sys.executable, "-m", "manyways", *words], cwd=place, check=True)


def take(report: Path, picture: Path) -> None:
    """Write the picture of the upper part of `report` to `picture`."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"No browser was found; install one of {', '.join(BROWSERS)}.")
    page = report.read_text(encoding="utf-8")
    upper, end, _ = page.partition(SHOWN)
    if not end:
        raise SystemExit(f"{report} has no table of entries to show.")
    with tempfile.TemporaryDirectory() as folder:
        part, shot = Path(folder, "part.html"), Path(folder, "shot.png")
        part.write_text(f"{upper}</main></body></html>", encoding="utf-8")
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        words += [f"--force-device-scale-factor={SCALE}", f"--window-size={WIDTH},{TALLEST}", f"--screenshot={shot}"]
        subprocess.run([browser, *words, part.as_uri()], check=True, capture_output=True, timeout=120)
        with Image.open(shot) as whole:
            drawn = whole.convert("RGB")
    ground = Image.new("RGB", drawn.size, drawn.getpixel((0, 0)))
    box = ImageChops.difference(drawn, ground).getbbox()
    bottom = drawn.height if box is None else min(drawn.height, box[3] + round(MARGIN * SCALE))
    picture.parent.mkdir(parents=True, exist_ok=True)
    small = drawn.crop((0, 0, drawn.width, bottom)).quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
    print(f"{picture}: {small.width} by {small.height} pixels, {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
