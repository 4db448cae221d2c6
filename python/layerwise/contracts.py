"""The CSV files in which medicine meets networks: columns, reading with validation, atomic writing.

Every stage reads the files of the stage before it and nothing else. An unknown or missing column,
a wrong type or a repeated key is an `InputError` that names the file and the line.
"""
from __future__ import annotations

import csv
import json
import math
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

from layerwise.errors import InputError

LOG_COLUMNS = ("iteration", "epoch", "lr", "loss", "validation_auc", "seconds")
SCORE_COLUMNS = ("case", "group", "candidate", "lesion", "label")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Case:
    """One image (frame, volume, region) of a data set, with or without lesions and candidates."""

    case: str
    group: str
    split: str
    lesions: int


@dataclass(frozen=True)
class Candidate:
    """One candidate; `lesion` is the id of the lesion it hits, empty for a false positive.

    Where it lies is in the columns of the task's own kind, below.
    """

    case: str
    group: str
    candidate: str
    lesion: str
    label: int


@dataclass(frozen=True)
class BoxCandidate(Candidate):
    """A box in an image, in pixels; x, y = top left; `score` of the detector."""

    x: float
    y: float
    w: float
    h: float
    score: float


@dataclass(frozen=True)
class VesselCandidate(Candidate):
    """A point in a vessel, in mm along the volume's axes from the centre of its first voxel.

    `axis` is the unit vector along the vessel, `side` one across it; x runs to the patient's left,
    y to the back, z to the head.
    """

    x_mm: float
    y_mm: float
    z_mm: float
    axis_x: float
    axis_y: float
    axis_z: float
    side_x: float
    side_y: float
    side_z: float
    score: float


@dataclass(frozen=True)
class PixelCandidate(Candidate):
    """One pixel of an image: its column and row."""

    x: int
    y: int


CANDIDATE_KINDS = (BoxCandidate, VesselCandidate, PixelCandidate, Candidate)


@dataclass(frozen=True)
class IndexRow:
    """One datum of an LMDB, in LMDB order."""

    key: str
    case: str
    group: str
    candidate: str
    augmentation: str
    label: int


@dataclass(frozen=True)
class Score:
    """One scored candidate: patch probabilities already averaged, one per class."""

    case: str
    group: str
    candidate: str
    lesion: str
    label: int
    probabilities: tuple[float, ...]


class Record(dict[str, str]):
    """A line of a CSV: its fields by column, and which line of the file it is, the header being 1.

    Lines are counted as an editor does, blank ones and those within a quoted field as well.
    """

    def __init__(self, number: int, header: Sequence[str], values: Sequence[str]) -> None:
        super().__init__(zip(header, values))
        self.number = number


Row = TypeVar("Row", Case, Candidate, BoxCandidate, VesselCandidate, PixelCandidate, IndexRow)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write to; renamed to `path` only on success.

    Content and name are on the disk on return, so that something else may vouch for them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{threading.get_ident()}")
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Open a temporary sibling of `path` for writing; rename it to `path` only on success."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        yield handle


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill; renamed to `folder` on success, removed on failure.

    For what the user asks for by name. InputError when `folder` exists and is not empty, or its
    parent cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: already there; choose another folder or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); "
                         "choose another folder") from error
    try:
        yield partial
        partial.chmod(0o755)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def json_or_empty(path: Path) -> dict[str, Any]:
    """A JSON object of ours; {} when it is missing or not whole, so that it is made again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def sync(path: Path) -> None:
    """Have the content of a finished file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, its folder made where missing."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_table(path: Path, columns: Sequence[str], lines: Iterable[Iterable[Any]]) -> None:
    """Write a header line and lines as CSV, atomically."""
    with atomic_text(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)


def write_rows(path: Path, rows: Iterable[Row], row_type: type[Row]) -> None:
    """Write dataclass rows as CSV, atomically."""
    names = [field.name for field in fields(row_type)]
    write_table(path, names, ([getattr(row, name) for name in names] for row in rows))


def read_table(path: Path, columns: Sequence[str] | None = None
               ) -> tuple[list[str], list[Record]]:
    """Header and rows of a CSV as strings; with `columns`, exactly these must be there.

    Blank lines are skipped.

    Raises InputError when the file is missing, is not UTF-8 text, has other columns than asked for,
    or has a line with another number of fields than the header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle)
            header = next(reader, None)
            lines = [(reader.line_num, line) for line in reader if line]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a UTF-8 CSV file ({error})") from None
    if header is None:
        raise InputError(f"{path}: empty; expected a CSV header line")
    if columns is not None:
        _check_columns(path, header, columns)
    for number, line in lines:
        if len(line) != len(header):
            raise InputError(f"{path}, line {number}: {len(line)} fields, expected {len(header)}")
    return header, [Record(number, header, line) for number, line in lines]


def _check_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    unknown = [name for name in header if name not in columns]
    for what, names in (("missing", missing), ("unknown", unknown)):
        if names:
            other = set(";\t") & set("".join(header))
            hint = " (separated by ; or tabs? use commas)" if other else ""
            raise InputError(f"{path}: {what} column {', '.join(names)}; expected "
                             f"{', '.join(columns)}, found {', '.join(header)}{hint}")


def _convert(path: Path, number: int, name: str, kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            value = float(text)
            if math.isfinite(value):
                return value
            raise ValueError
    except ValueError:
        raise InputError(f"{path}, line {number}: {name} is {text!r}, "
                         f"expected a finite {kind}") from None
    return text


def read_rows(path: Path, row_type: type[Row], unique: str | None = None) -> list[Row]:
    """Rows of a CSV written by `write_rows`, types checked; values of `unique` must not repeat."""
    _, table = read_table(path, [field.name for field in fields(row_type)])
    return _typed(path, table, row_type, unique)


def _typed(path: Path, table: Sequence[Record], row_type: type[Row], unique: str | None
           ) -> list[Row]:
    kinds = {field.name: str(field.type) for field in fields(row_type)}
    rows = [row_type(**{name: _convert(path, line.number, name, kinds[name], text)
                        for name, text in line.items()}) for line in table]
    if unique is not None:
        seen: set[str] = set()
        for row in rows:
            value = getattr(row, unique)
            if value in seen:
                raise InputError(f"{path}: {unique} {value} occurs twice")
            seen.add(value)
    return rows


def read_cases(path: Path) -> list[Case]:
    """cases.csv; raises InputError for an unknown split or a negative number of lesions."""
    cases = read_rows(path, Case, unique="case")
    for case in cases:
        if case.split not in SPLITS:
            raise InputError(f"{path}: case {case.case} has split {case.split!r}, "
                             f"expected {' or '.join(SPLITS)}")
        if case.lesions < 0:
            raise InputError(f"{path}: case {case.case} has {case.lesions} lesions")
    return cases


def read_candidates(path: Path) -> list[Candidate]:
    """candidates.csv, as rows of the kind whose columns the file has.

    Raises InputError for columns of no kind, and for a label that contradicts the lesion: a
    positive one needs a lesion, and a lesion needs a positive one.
    """
    header, table = read_table(path)
    kind = next((kind for kind in CANDIDATE_KINDS
                 if {field.name for field in fields(kind)} == set(header)), BoxCandidate)
    _check_columns(path, header, [field.name for field in fields(kind)])
    candidates: list[Candidate] = list(_typed(path, table, kind, "candidate"))
    for row in candidates:
        if (row.label != 0) != bool(row.lesion):
            raise InputError(f"{path}: candidate {row.candidate} has label {row.label} "
                             f"and lesion {row.lesion!r}; one contradicts the other")
    return candidates


def read_test_candidates(dataset: Path) -> list[Candidate]:
    """Candidates of the test cases of a prepared data set, in the order of candidates.csv."""
    tested = {case.case for case in read_cases(dataset / "cases.csv") if case.split == "test"}
    return [row for row in read_candidates(dataset / "candidates.csv") if row.case in tested]


def read_index(path: Path) -> list[IndexRow]:
    """index.csv of an LMDB."""
    return read_rows(path, IndexRow, unique="key")


def write_scores(path: Path, scores: Iterable[Score], classes: Sequence[str]) -> None:
    """Write scores.csv, probabilities with nine significant digits (float32 survives)."""
    write_table(path, [*SCORE_COLUMNS, *(f"p_{name}" for name in classes)], (
        [row.case, row.group, row.candidate, row.lesion, row.label,
         *(f"{value:.9g}" for value in row.probabilities)] for row in scores))


def read_scores(path: Path) -> tuple[list[Score], list[str]]:
    """Scores and class names of a scores.csv; probabilities must be finite and within 0..1."""
    header, table = read_table(path)
    fixed = len(SCORE_COLUMNS)
    classes = header[fixed:]
    if tuple(header[:fixed]) != SCORE_COLUMNS or not classes \
            or not all(name.startswith("p_") for name in classes):
        raise InputError(f"{path}: columns must be {', '.join(SCORE_COLUMNS)}, p_<class>...")
    scores, seen = [], set()
    for line in table:
        values = tuple(_convert(path, line.number, name, "float", line[name]) for name in classes)
        if not all(0.0 <= value <= 1.0 for value in values):
            raise InputError(f"{path}, line {line.number}: a probability lies outside 0..1")
        if line["candidate"] in seen:
            raise InputError(f"{path}: candidate {line['candidate']} occurs twice")
        seen.add(line["candidate"])
        scores.append(Score(line["case"], line["group"], line["candidate"], line["lesion"],
                            _convert(path, line.number, "label", "int", line["label"]), values))
    return scores, [name[2:] for name in classes]
