"""Made-up results, written once."""
from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import write_boundary_study, write_curve_study


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of polyp runs, frame runs, and boundary runs."""
    root = tmp_path_factory.mktemp("results")
    write_curve_study(root, "polyp", seeds=2)
    write_curve_study(root, "frames", groups=12, per_group=30)
    write_boundary_study(root)
    return root
