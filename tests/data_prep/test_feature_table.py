"""features.csv."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.feature_table import matrix, read_features, write_features
from layerwise.errors import InputError

NAMES = ("width_mm", "contrast_hu")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    rows = [("a:c01", np.array([1 / 3, -200.0])), ("b:c01", np.array([1e-12, 7.0]))]
    write_features(path, NAMES, rows)
    table = read_features(path, NAMES)
    np.testing.assert_allclose(matrix(path, table, ["b:c01", "a:c01"]),
                               [[1e-12, 7.0], [1 / 3, -200.0]], rtol=1e-8)
    assert path.read_text().splitlines()[:2] == ["candidate,width_mm,contrast_hu",
                                                 "a:c01,0.333333333,-200"]


@pytest.mark.parametrize("values", [[1.0], [np.nan, 1.0]])
def test_wrong_values_are_not_written(tmp_path: Path, values: list[float]) -> None:
    path = tmp_path / "features.csv"
    with pytest.raises(ValueError, match="2 finite"):
        write_features(path, NAMES, [("a", np.array(values))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text, message", [
    ("candidate,width_mm\na,1\n", "missing column contrast_hu"),
    ("candidate,width_mm,contrast_hu,more\na,1,2,3\n", "unknown column more"),
    ("candidate,width_mm,contrast_hu\na,1,nan\n", "line 2: a feature is not finite"),
    ("candidate,width_mm,contrast_hu\na,1,2\nb,wide,3\n", "line 3: could not convert"),
    ("candidate,width_mm,contrast_hu\na,1,2\na,1,2\n", "candidate a occurs twice")])
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "features.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_features(path, NAMES)


def test_a_candidate_without_a_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no row for candidate b \(1 missing\)"):
        matrix(tmp_path / "features.csv", {"a": np.zeros(2)}, ["a", "b"])
