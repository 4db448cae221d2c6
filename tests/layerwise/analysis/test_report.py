"""The HTML page: complete, self-contained, and in a browser nothing broken or overflowing."""
from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_boundary_study

from layerwise.analysis.collect import collect
from layerwise.analysis.patch_examples import choose, patch_rows
from layerwise.analysis.report import write_report
from layerwise.contracts import Score
from layerwise.errors import InputError

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome")
                 if (path := shutil.which(name))), None)
VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Notes unbalanced tags, sources and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.sources += [values["src"] or ""] if "src" in values else []
        self.links += [values["href"] or ""] if "href" in values else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def pages(results: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_report([results], tmp_path_factory.mktemp("report"))


def test_pages_are_self_contained(pages: list[Path], results: Path) -> None:
    assert len(pages) == 3
    for page in pages:
        checker = Checker()
        checker.feed(page.read_text(encoding="utf-8"))
        assert checker.open == []
        assert checker.sources
        assert all(source.startswith("data:image/") for source in checker.sources)
        files = [link for link in checker.links if not link.startswith("#")]
        assert files and all((page.parent / link).resolve().is_file() for link in files)


def test_page_says_what_stands_in_and_shows_everything(pages: list[Path]) -> None:
    text = pages[0].read_text(encoding="utf-8")
    assert 'class="standin">data: phantom (stand-in)' in text
    for part in ("Fig. 2a", "Fig. 2b", "Fig. 10", "Table S1", "undecided", "Training curves",
                 "Example patches", "Settings", "scores.csv", "12 test groups (videos)"):
        assert part in text
    assert "Not shown: " in text  # these runs have no prepared data


def test_a_second_report_is_the_same(tmp_path: Path) -> None:
    write_boundary_study(tmp_path / "runs", ("fc8", "conv1"))
    first, second = (write_report([tmp_path / "runs"], tmp_path / "report")[0].read_bytes()
                     for _ in range(2))
    assert first == second


def test_choice_of_patches() -> None:
    rows = [Score("c", "g", str(i), "l" * (i % 2), i % 2, (1 - p, p))
            for i, p in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.6))]
    chosen = dict(choose(rows))
    assert chosen["positives, highest scores"] == [5, 3, 1]
    assert chosen["positives, lowest scores"] == [1, 3, 5]
    assert chosen["negatives, highest scores"] == [4, 2, 0]
    assert "positives, lowest scores" not in dict(choose(rows[:1]))


def test_no_patches_is_said(results: Path) -> None:
    run = collect([results])[0].of("conv1")[0]
    with pytest.raises(InputError, match="prepared data folder"):
        patch_rows(run)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1366, 794])  # a laptop, and A4 at 96 dots per inch
def test_in_chromium(pages: list[Path], tmp_path: Path, width: int) -> None:
    """Every image loads and nothing is wider than the window."""
    probe = ("<script>addEventListener('load', () => { document.title = 'probe '"
             " + [...document.images].filter(i => !i.naturalWidth).length + ' '"
             " + document.images.length + ' ' + Math.max(0,"
             " document.documentElement.scrollWidth - innerWidth); });</script>")
    copy = tmp_path / "page.html"
    copy.write_text(pages[0].read_text(encoding="utf-8").replace("</head>", probe + "</head>"),
                    encoding="utf-8")
    out = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
         f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
         "--virtual-time-budget=5000", "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>probe (\d+) (\d+) (\d+)</title>", out)
    assert found is not None
    broken, images, overflow = map(int, found.groups())
    assert (broken, overflow) == (0, 0)
    assert images >= 4


def test_patches_from_an_lmdb(results: Path, tmp_path: Path) -> None:
    """Where Caffe's messages can be read, patches come out as RGB images."""
    lmdb = pytest.importorskip("lmdb")
    caffe_pb2 = pytest.importorskip("caffe.proto.caffe_pb2")
    from dataclasses import replace

    from layerwise.contracts import IndexRow, read_scores, write_rows

    run = collect([results])[0].of("conv1")[0]
    scores, _ = read_scores(run.folder / "scores.csv")
    rows = [IndexRow(f"{i:08d}", row.case, row.group, row.candidate, 0, row.label)
            for i, row in enumerate(scores)]
    write_rows(tmp_path / "test" / "index.csv", rows, IndexRow)
    image = np.zeros((3, 8, 8), np.uint8)
    image[0] = 200  # blue, Caffe's first channel
    with lmdb.open(str(tmp_path / "test" / "lmdb"), map_size=1 << 24) as store, \
            store.begin(write=True) as view:
        for row in rows:
            datum = caffe_pb2.Datum(channels=3, height=8, width=8, data=image.tobytes(),
                                    label=row.label)
            view.put(row.key.encode(), datum.SerializeToString())
    found = patch_rows(replace(run, config={**run.config, "data": str(tmp_path)}))
    assert len(found) == 4 and len(found[0].images) == 8
    import base64
    import io

    from matplotlib.image import imread

    pixels = imread(io.BytesIO(base64.b64decode(found[0].images[0].split(",")[1])))
    assert pixels.shape[:2] == (4, 4)
    assert pixels[0, 0, :3] == pytest.approx([0, 0, 200 / 255], abs=0.01)
