"""The paper's claims: completeness of the rows, the rules of decision, verdicts on known data."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from synthetic import write_curve_study

from layerwise.analysis.claim_rows import CLAIMS
from layerwise.analysis.claims import decide, judge_all, write_claims
from layerwise.analysis.collect import collect
from layerwise.analysis.systems import SYSTEMS
from layerwise.tasks import TASKS


def test_rows_are_sound() -> None:
    assert len(CLAIMS) >= 20
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        task = TASKS[claim.task]
        assert set(claim.points) <= set(task.operating_points)
        assert claim.kind in ("higher", "equal", "not lower", "sooner")
        assert claim.contrasts
        for contrast in claim.contrasts:
            assert len(contrast.plus) == len(contrast.minus)
            assert {init for init, _ in (*contrast.plus, *contrast.minus)} <= set(SYSTEMS)
            assert {fraction for _, fraction in (*contrast.plus, *contrast.minus)} \
                <= {round(100 * part) for part in task.fractions}


@pytest.mark.parametrize(("kind", "low", "high", "verdict"), [
    ("higher", 0.01, 0.2, "supported"), ("higher", -0.01, 0.2, "undecided"),
    ("higher", -0.2, -0.01, "contradicted"), ("sooner", 0.5, 2.0, "supported"),
    ("not lower", -0.04, 0.1, "supported"), ("not lower", -0.06, 0.1, "undecided"),
    ("not lower", -0.3, -0.06, "contradicted"), ("equal", -0.04, 0.04, "supported"),
    ("equal", -0.06, 0.04, "undecided"), ("equal", 0.01, 0.2, "contradicted"),
    ("equal", 0.01, 0.04, "supported"),
])
def test_rules(kind: str, low: float, high: float, verdict: str) -> None:
    assert decide(kind, low, high, 0.05) == verdict


def test_verdicts_on_made_up_runs(results: Path) -> None:
    verdicts = {one.claim: one for study in collect([results]) for one in judge_all(study)}
    assert verdicts["frames-scratch-shallow"].verdict == "supported"
    assert verdicts["frames-moderate-deep"].verdict == "contradicted"   # conv1 was made the best
    assert verdicts["polyp-only-fc8"].verdict == "supported"
    assert verdicts["cimt-fc7"].verdict == "supported"
    assert verdicts["polyp-sooner"].groups == 2
    assert verdicts["cimt-sooner"].verdict == "undecided"               # one seed
    assert "one seed" in verdicts["cimt-sooner"].reason
    deciding = verdicts["polyp-only-fc8"]
    assert 0 < deciding.low < deciding.estimate < deciding.high
    assert deciding.groups == 12 and "stand-in" in deciding.stand_ins


def test_missing_runs_decide_nothing(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=8, per_group=20,
                      inits=("conv1", "fc7", "fc8", "scratch-gaussian"))
    shutil.rmtree(tmp_path / "polyp/phantom/conv1/25")
    verdicts = {one.claim: one for one in judge_all(collect([tmp_path])[0])}
    assert verdicts["polyp-gap-25"].verdict == "undecided"
    assert "no runs" in verdicts["polyp-gap-25"].reason
    assert verdicts["polyp-only-fc8"].verdict != "supported"            # only 2 of 7 are there
    assert "5 of 7" in verdicts["polyp-only-fc8"].reason


def test_one_group_decides_nothing(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=1, per_group=40, inits=("conv1", "fc8"))
    assert {one.verdict for one in judge_all(collect([tmp_path])[0])} == {"undecided"}


def test_files(results: Path, tmp_path: Path) -> None:
    written = write_claims([results], tmp_path)
    assert len(written) == 6
    records = json.loads((tmp_path / "polyp/phantom/claims.json").read_text(),
                         parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert {record["verdict"] for record in records} <= {"supported", "contradicted", "undecided"}
    text = (tmp_path / "cimt/phantom/claims.md").read_text()
    assert "stand-in" in text and "| VI-D | fc7-fc8 has a smaller error" in text
