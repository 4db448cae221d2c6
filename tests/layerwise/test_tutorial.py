"""docs/tutorial.md, run from its own commands, at the smallest profile and with narrow networks."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from layerwise import alexnet

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What `environment/run layerwise` starts: as it is, but for narrow networks (a training takes a
# second) and workers that are forked.
LAYERWISE = f"""#!{sys.executable}
import sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import caffe
from conftest import narrow_rows
from killing import forked_workers
from layerwise import alexnet, blas, child
from layerwise.cli import main
alexnet.TABLE_I = narrow_rows()
child.subprocess = forked_workers()
blas.choose, blas.environment_for = lambda threads: None, lambda choice: dict()
main()
"""


@pytest.fixture()
def clone(narrow_table: None, project: Path, tmp_path: Path) -> Path:
    """A folder where the tutorial's commands can be typed."""
    (tmp_path / "docs").symlink_to(project / "docs")
    run, command = tmp_path / "environment" / "run", tmp_path / "bin" / "layerwise"
    for path, text in ((run, '#!/bin/sh\nexec "$@"\n'),
                       (command, LAYERWISE)):
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "data").mkdir()
    # What is called bvlc_alexnet must be it; so weights come by an option that every verb has.
    tiny.write_weights(tmp_path / "data" / "random.caffemodel")
    assert alexnet.TABLE_I[0].outputs == 8
    return tmp_path


def test_every_command_does_what_the_page_says(clone: Path, project: Path) -> None:
    blocks = BLOCK.findall((project / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    script = "\n".join(["set -eu", *blocks]).replace("--profile quick", "--profile mini")
    script = re.sub(r"(layerwise (recommend|sweep) own .*)$",
                    r"\1 --weights data/random.caffemodel --jobs 1", script, flags=re.MULTILINE)
    script = script.replace("-quick", "-mini")
    done = subprocess.run(
        ["bash", "-c", script], cwd=clone, capture_output=True, text=True, env={
            **os.environ, "PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "LAYERWISE_DATA": "data", "LAYERWISE_RUNS": "runs"})
    assert done.returncode == 0, done.stderr
    assert len(blocks) == 5
    assert "image,label,group" in done.stdout and "effective depth: " in done.stdout
    assert "Data: phantom (stand-in)" in done.stdout
    assert (clone / "runs/figures/own/my_images-mini-test25/depths.png").is_file()
    assert (clone / "predictions.csv").read_text().startswith(
        "image,p_informative,p_noninformative\n")
    opencv = done.stdout[done.stdout.rindex("image,p_"):].splitlines()
    assert len(opencv) == 2 and sum(map(float, opencv[1].split(",")[1:])) == pytest.approx(1)


def test_the_page_fits_what_it_describes(project: Path) -> None:
    from layerwise.analysis.deeper import LEVEL, MARGIN, MIN_GROUPS
    from layerwise.card import BALANCED
    from layerwise.profiles import PROFILES

    text = (project / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert f"each tested at {100 * LEVEL:g}%" in text and f"more than {MARGIN:g} of AUC" in text
    assert MIN_GROUPS == 6 and "fewer than six groups" in text
    for fraction, count in ((0.5, 36), (0.25, 24)):
        assert _validated(count, fraction) == MIN_GROUPS > _validated(count - 3, fraction)
    assert "in about 36 groups when half" in text and "in 24\nwith `--test-fraction 0.25`" in text
    assert BALANCED in text.replace("\n", " ")
    assert f"trains for {PROFILES['quick'].iterations} iterations" in text


def _validated(count: int, fraction: float) -> int:
    """Validation groups with a class that is in `count` groups, beside twice as many of another."""
    from data_prep.own.division import divide
    from data_prep.splits import reduced
    from layerwise.tasks import OWN

    labels = [(f"{place:03d}", int(place < count)) for place in range(3 * count)]
    _, order = divide(labels, {group: "" for group, _ in labels}, fraction, 1)
    rare = {group for group, label in labels if label}
    return len(rare & set(reduced(order, 1.0, OWN.validation_every)[1]))
