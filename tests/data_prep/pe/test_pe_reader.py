"""The folder layout of CT angiograms."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_prep.pe import reader
from data_prep.pe.volume import Volume, write_emboli, write_volume
from layerwise.errors import InputError

SPACING_MM = (1.5, 0.8, 0.7)


def chest() -> Volume:
    return Volume((np.arange(60, dtype=np.int16) * 30 - 1000).reshape(3, 4, 5), SPACING_MM)


def make(folder: Path, cases: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """Volumes with one embolus each but the last."""
    for case in cases:
        write_volume(folder / "volumes" / f"{case}.nii.gz", chest())
    for case in cases[:-1]:
        emboli = np.zeros((3, 4, 5), np.int32)
        emboli[1, 2, 3] = 1
        write_emboli(folder / "emboli" / f"{case}.nii.gz", emboli, SPACING_MM)
    return folder


def test_without_a_manifest_every_volume_is_a_patient(tmp_path: Path) -> None:
    volumes, emboli = tmp_path / "volumes", tmp_path / "emboli"
    make(tmp_path, ("b", "a"))
    assert reader.read_scans(tmp_path) == [
        reader.Scan("a", "a", "", volumes / "a.nii.gz", None),
        reader.Scan("b", "b", "", volumes / "b.nii.gz", emboli / "b.nii.gz")]


def test_a_manifest(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "manifest.csv").write_text(
        "split,case,group\ntest,b,anna\ntrain,a,otto\ntest,c,anna\n")
    assert [(scan.case, scan.group, scan.split) for scan in reader.read_scans(tmp_path)] == \
        [("a", "otto", "train"), ("b", "anna", "test"), ("c", "anna", "test")]


def test_suffixes_and_series(tmp_path: Path) -> None:
    make(tmp_path, ("x.y",))
    (tmp_path / "emboli").mkdir()
    for name in ("s.1", ".hidden"):
        (tmp_path / "volumes" / name).mkdir()
    for name in ("t.NII", ".DS_Store"):
        (tmp_path / "volumes" / name).write_bytes(b"x")
    assert [scan.case for scan in reader.read_scans(tmp_path)] == ["s.1", "t", "x.y"]


def test_a_scan_is_loaded_with_its_emboli(tmp_path: Path) -> None:
    scans = reader.read_scans(make(tmp_path))
    volume, emboli = reader.load(scans[0])
    assert np.array_equal(volume.hu, chest().hu)
    assert np.argwhere(emboli).tolist() == [[1, 2, 3]]
    _, none = reader.load(scans[2])
    assert none.shape == (3, 4, 5) and none.dtype == np.int32 and not none.any()


def test_emboli_on_another_grid_are_refused(tmp_path: Path) -> None:
    scan = reader.read_scans(make(tmp_path))[0]
    assert scan.emboli_path is not None
    write_emboli(scan.emboli_path, np.ones((3, 4, 5), np.int32), (1.5, 0.8, 0.9))
    with pytest.raises(InputError, match=r"emboli/a\.nii\.gz: voxels of 1\.5 x 0\.8 x 0\.9 mm"):
        reader.load(scan)


Harm = Callable[[Path], object]


def _write(name: str, text: str = "") -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return harm


@pytest.mark.parametrize("harm, message", [
    (_write("volumes/d.nrrd"), r"volumes/d\.nrrd: expected \.nii\.gz or \.nii or the folder of a"),
    (_write("emboli/d.nrrd"), r"emboli/d\.nrrd: expected \.nii\.gz or \.nii; convert"),
    (lambda folder: (folder / "emboli" / "c").mkdir(), "emboli/c: expected"),
    (_write("emboli/d.nii"), r"emboli/d\.nii: no volume of this name"),
    (lambda folder: (folder / "volumes" / "a").mkdir(), r"a\.nii\.gz: duplicate case, a has the"),
    (lambda folder: (folder / "emboli").rename(folder / "masks"), "emboli: no such folder; expect"),
    (lambda folder: (folder / "volumes").rename(folder / "ct"), "volumes: no such folder; expect"),
    (_write("manifest.csv", "case,group\na,1\nb,2\n"), r"c\.nii\.gz: volume has no group; add"),
    (_write("manifest.csv", "case,group\na,1\nb,2\nd,2\n"), r"manifest\.csv, line 4: case 'd' is"),
    (_write("manifest.csv", "case,group\na,1\na,2\nb,2\nc,3\n"), "duplicate case a"),
    (_write("manifest.csv", "case,group\na,1\nb, \nc,3\n"), r"manifest\.csv: b has no group"),
    (_write("manifest.csv", "case,group\na,1\nb,1\nc,1\n"), r"manifest\.csv: only one group \(1\)"),
    (_write("manifest.csv", "case,group,split\na,1,train\nb,1,test\nc,2,test\n"), "two sides"),
    (_write("manifest.csv", "case,patient\na,1\n"), "missing column group"),
    (_write("manifest.csv", "case,group,age\na,1,3\n"), "unknown column age")])
def test_bad_folders(tmp_path: Path, harm: Harm, message: str) -> None:
    make(tmp_path)
    harm(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        reader.read_scans(tmp_path)
    assert "\n" not in str(error.value)


def test_folders_without_volumes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder"):
        reader.read_scans(tmp_path / "none")
    for name in ("volumes", "emboli"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="volumes: no volumes"):
        reader.read_scans(tmp_path)
    write_volume(tmp_path / "volumes" / "a.nii.gz", chest())
    with pytest.raises(InputError, match=r"only one group \(a\)"):
        reader.read_scans(tmp_path)
