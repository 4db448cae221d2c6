"""The run folder: where a run lives, what it was made with, and what state it is in."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from layerwise import snapshot
from layerwise.contracts import atomic_text, write_bytes
from layerwise.errors import InputError, refused
from layerwise.locks import hold

CONFIG, LOG, BEST, RESULT = "config.json", "log.csv", "best.caffemodel", "result.json"
SCORES, PATCHES, STATE, CAFFE_LOG = "scores.csv", "patches.h5", "state.json", "caffe.log"
BOUNDARY, EXAMPLE = "boundary.csv", "example.npz"    # boundary.csv is the scores.csv of regions
TAIL, TAIL_BEST = "tail.json", "tail_best.caffemodel"
TAIL_NET, TAIL_FROZEN, TAIL_DEPLOY, TAIL_SOLVER = (f"tail_{name}.prototxt" for name in (
    "train_val", "frozen", "deploy", "solver"))
TAIL_LISTING, TAIL_DATA = "tail_files.txt", "tail_train"     # a list, and a link to its folder


@dataclass(frozen=True)
class Tail:
    """A run that trains only what lies above the stored activations of `blob`.

    `train`, `validation`, `test`: folders of the stored activations.
    """

    blob: str
    train: Path
    validation: Path
    test: Path


@dataclass(frozen=True)
class Run:
    """Everything that decides a run's outcome, resolved; config.json is its JSON form.

    Attributes:
        data: the prepared data folder, as given.
        data_sha256: seal of the training, validation and test sets.
        source_weights: name of the source network, None from scratch.
        source_sha1: SHA-1 of its file: the caffemodel, or the .npz that a stand-in's is made from.
        stand_in_data, stand_in_weights: what stands in for the paper's, None if nothing does.
        threads: BLAS threads; results are repeatable to the bit with 1.
    """

    task: str
    dataset: str
    init: str
    fraction: int                    # percent of the training groups
    seed: int
    classes: tuple[str, ...]
    data: str
    data_sha256: str
    train_images: int
    batch_size: int
    iterations: int
    evaluate_every: int
    patience: int
    mean_bgr: tuple[float, ...]
    source_weights: str | None
    source_sha1: str | None
    stand_in_data: str | None
    stand_in_weights: str | None
    threads: int
    gpu: int | None = None
    test_sha256: str = ""            # seal of the test set alone; "" in runs older than it
    environment: dict[str, Any] = field(default_factory=dict)   # recorded, decides nothing

    def folder(self, root: Path) -> Path:
        """`<root>/<task>/<dataset>/<init>/<fraction>/<seed>`."""
        return dataset_folder(root, self.task, self.dataset) / self.init / str(
            self.fraction) / str(self.seed)


def dataset_folder(root: Path, task: str, dataset: str) -> Path:
    """The folder of all runs on one data set."""
    return root / task / dataset


def recommendation_stem(dataset: Path) -> Path:
    """Path without suffix of what `layerwise recommend` says of the runs in a data set's folder."""
    dataset = dataset.resolve()
    return dataset.parents[1] / "figures" / dataset.parent.name / dataset.name / "recommendation"


def open_run(folder: Path, run: Run) -> None:
    """Write config.json, or check that the one there is of the same settings.

    A run may go on with the data in another place, on another GPU or in another environment
    (revision, BLAS kernel, Python): place and GPU are corrected and the environment added under
    `resumed`; a scored run's file is left alone. Where nothing has been trained yet the settings
    may change. The folder must be held (`locked`).

    Raises InputError when it holds a run with other settings, when a run beside it was made on
    other data, or when it cannot be written.
    """
    path, wanted = folder / CONFIG, _as_json(run)
    _refuse_other_data(folder, run)
    if not _is_begun(folder):
        write_json(path, wanted)
        return
    check_same(folder, run)
    if is_scored(folder):
        return
    found = read_json(path)
    environments = [found["environment"], *found.get("resumed", [])]
    changed = {**found, "data": wanted["data"], "gpu": wanted["gpu"]}
    if wanted["environment"] != environments[-1]:
        changed["resumed"] = [*environments[1:], wanted["environment"]]
    if changed != found:
        write_json(path, changed)


def check_same(folder: Path, run: Run) -> None:
    """Raise InputError when the folder holds a run with other settings, begun or done."""
    told = difference(read_json(folder / CONFIG), run) if _is_begun(folder) else ""
    if told:
        raise InputError(f"{folder} holds a run with {told}: "
                         "choose another --runs folder or delete this one")


def difference(found: Mapping[str, Any], run: Run) -> str:
    """The first setting in which a run's JSON form is another, `KEY=FOUND, now WANTED`; or ""."""
    for key, value in _as_json(run).items():
        if key == "gpu" and None not in (value, found.get(key)):
            continue
        if key not in ("environment", "data") and found.get(key, value) != value:
            return f"{key}={found.get(key)}, now {value}"
    return ""


def _as_json(run: Run) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(asdict(run)))
    return content


def _is_begun(folder: Path) -> bool:
    """Whether something has been trained or scored here: the settings are then fixed."""
    return (folder / CONFIG).exists() and (
        is_trained(folder) or is_scored(folder) or (folder / STATE).exists())


def _refuse_other_data(folder: Path, run: Run) -> None:
    """Runs of a data set are compared: they have to share test set and, per fraction, training.

    The first one leaves the list of cases beside them.
    """
    dataset = folder.parents[2]
    for path in sorted(dataset.glob(f"*/*/*/{CONFIG}")):
        found = read_json(path)
        same_test = (found.get("test_sha256") or run.test_sha256) == run.test_sha256
        if not same_test or (found.get("fraction") == run.fraction
                             and found.get("data_sha256") != run.data_sha256):
            raise InputError(f"{path.parent} holds a run on other data than {run.data} holds now: "
                             "prepare them as before, choose another --runs folder, or delete it")
    cases, prepared = dataset / "cases.csv", (Path(run.data) / "cases.csv").read_bytes()
    if not cases.exists():
        write_bytes(cases, prepared)
    elif cases.read_bytes() != prepared:
        raise InputError(f"{cases}: the runs beside it are on another split or other images than "
                         f"{run.data}; choose another --runs folder")


def data_digest(prepared: Path, fraction: int | None = None) -> str:
    """SHA-256 over the contents of all that a run trains, validates and is tested on.

    Args:
        fraction: None for what runs of all fractions are tested on.

    Raises InputError when the prepared data know nothing of this fraction.
    """
    facts = read_json(prepared / "source.json")
    names = ("test",) if fraction is None else (f"train-{fraction}", f"validation-{fraction}",
                                                "test")
    try:
        contents = [facts["sets"][name]["content_sha256"] for name in names]
        contents += [facts["sha256"][name] for name in ("cases.csv", "candidates.csv")]
    except (KeyError, TypeError):
        raise InputError(f"{prepared / 'source.json'}: says nothing of {', '.join(names)}; "
                         "run `layerwise prepare` again") from None
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder of runs, made if missing; yields the lock's file descriptor.

    A child that inherits the descriptor holds the folder until it ends, even when its parent is
    killed. What killed or failed processes leave is cleared on entering and on leaving. InputError
    when another process holds it, when it cannot be made, and for what the system refuses meanwhile
    (disk full).
    """
    def busy() -> None:
        raise InputError(f"{folder}: another process is working here; "
                         "wait for it, or choose another --runs folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); "
                         "choose a --runs folder you may write to") from None
    try:
        with hold(folder, busy) as handle:
            clear_leftovers(folder)
            try:
                yield handle
            finally:
                clear_leftovers(folder)
    except OSError as error:
        raise refused(error, folder) from error


def clear_leftovers(folder: Path) -> None:
    """Remove half-written files, snapshots that no state names, and the state of a trained run."""
    for path in folder.glob(".*.partial-*"):
        path.unlink()
    if is_trained(folder):
        for name in (STATE, TAIL_BEST):
            (folder / name).unlink(missing_ok=True)
    state = folder / STATE
    snapshot.remove(folder, read_json(state).get("iteration") if state.exists() else None)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; InputError when the folder cannot be written."""
    try:
        with atomic_text(path) as handle:
            json.dump(content, handle, indent=2)
            handle.write("\n")
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); "
                         "choose a folder you may write to") from None
    except OSError as error:
        raise refused(error, path) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; InputError when it is missing or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, NotADirectoryError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def load_run(folder: Path) -> Run:
    """The settings of the run in a folder."""
    content = read_json(folder / CONFIG)
    content.pop("resumed", None)
    try:
        run = Run(**content)
    except TypeError as error:
        raise InputError(f"{folder / CONFIG}: {error}") from None
    return Run(**{**asdict(run), "classes": tuple(run.classes), "mean_bgr": tuple(run.mean_bgr)})


def write_tail(folder: Path, tail: Tail) -> None:
    """Say in the run folder that it trains a tail."""
    write_json(folder / TAIL, {key: str(value) for key, value in asdict(tail).items()})


def read_tail(folder: Path) -> Tail | None:
    """The tail that the run folder trains, None when it trains the whole network."""
    if not (folder / TAIL).exists():
        return None
    content = read_json(folder / TAIL)
    return Tail(content["blob"], *(Path(content[key]) for key in ("train", "validation", "test")))


def is_trained(folder: Path) -> bool:
    """Whether training has ended: result.json is written last."""
    return (folder / RESULT).exists()


def is_scored(folder: Path) -> bool:
    """Whether the test set has been scored."""
    return (folder / SCORES).exists() or (folder / BOUNDARY).exists()
