"""Frozen prefixes shared by the runs of a command: what to store, storing it, and finding it."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise import alexnet, features, prefix, score
from layerwise.child import Children, Interrupted
from layerwise.contracts import atomic_text
from layerwise.depths import depth_named
from layerwise.errors import refused
from layerwise.generate import text_of
from layerwise.locks import hold, wait_for
from layerwise.machine import check_free
from layerwise.plan import Setting
from layerwise.prepared import patches_in
from layerwise.runs import Run, Tail, is_trained, read_json
from layerwise.tasks import task_named

TEST = "test"


@dataclass(frozen=True)
class Item:
    """One boundary of one set, and how often the runs would otherwise compute it."""

    name: str
    blob: str
    patches: int
    passes: float

    @property
    def size_bytes(self) -> int:
        """Disk space of the stored activations."""
        return features.size_bytes(self.patches, prefix.bytes_per_patch(self.blob))

    @property
    def saved(self) -> float:
        """Multiply-adds that the runs need not do."""
        return self.passes * self.patches * prefix.multiplications(self.blob)


def worth_storing(items: Sequence[Item], budget_bytes: float,
                  stored: Collection[Item] = ()) -> list[Item]:
    """What to store within a disk budget: what saves most per byte first.

    A run needs the activations of its training and its validation set or has no use for either,
    and those of the test set only after these: each pair is stored as a whole. Storing costs one
    forward pass over a set, whatever the number of boundaries; sets that the runs would not compute
    more than once are left alone.

    Args:
        stored: those of `items` that are there already.
    """
    total: dict[str, float] = {}
    for item in items:
        total[item.name] = total.get(item.name, 0.0) + item.passes
    pairs: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        if item.name != TEST:
            pairs.setdefault((item.blob, item.name.rpartition("-")[2]), []).append(item)
    tests = [[item] for item in items if item.name == TEST]
    chosen: list[Item] = []
    usable: set[str] = set()
    waiting = sorted([*pairs.values(), *tests], key=_worth)
    while True:
        unit = next((one for one in waiting if one[0].name != TEST or one[0].blob in usable), None)
        if unit is None:
            break
        waiting.remove(unit)
        missing = [item for item in unit if item not in stored]
        size = sum(item.size_bytes for item in missing)
        if size > budget_bytes:
            continue
        if missing and sum(total[item.name] * item.patches for item in unit) \
                <= sum(item.patches for item in unit):
            continue
        chosen += missing
        budget_bytes -= size
        usable.add(unit[0].blob)
    return chosen


def _worth(unit: Sequence[Item]) -> float:
    """Sorts what saves most multiply-adds per byte first."""
    return -sum(item.saved for item in unit) / sum(item.size_bytes for item in unit)


def sets_of(run: Run) -> dict[str, int]:
    """The sets a run reads, and the batch size that their activations are computed with."""
    return {f"train-{run.fraction}": run.batch_size, f"validation-{run.fraction}": score.BATCH,
            TEST: score.BATCH}


def items_of(runs: Sequence[Run], sizes: Mapping[str, int]) -> list[Item]:
    """Every boundary of every set that these runs could train on or be scored from."""
    passes: dict[tuple[str, str], float] = {}
    for run in runs:
        blob = prefix.boundary(depth_named(run.init))
        if blob is None:
            continue
        train, validation, test = sets_of(run)
        for name, count in ((train, run.iterations * run.batch_size / sizes[train]),
                            (validation, 1 + run.iterations / run.evaluate_every), (test, 1.0)):
            if name == TEST and task_named(run.task).by_region:
                continue          # regions have no patches of which to store activations
            passes[name, blob] = passes.get((name, blob), 0.0) + count
    return [Item(name, blob, sizes[name], count) for (name, blob), count in passes.items()]


def store_features(setting: Setting, runs: Sequence[Run], jobs: int, children: Children,
                   on_event: Callable[[int, int], None]) -> None:
    """Compute what lies below the first tuned layer of these runs once, where that pays.

    All stored activations of the data set, those of earlier commands included, take at most
    `setting.cache_bytes`.

    Args:
        on_event: called with the patches done since the last call and the patches in all.

    Raises what a child ended with, InputError for a full disk, Interrupted when asked to stop.
    """
    pending = [run for run in runs if run.source_sha1 and not is_trained(run.folder(setting.runs))]
    if setting.source is None or not pending or not setting.cache_bytes:
        return
    batch_of = {name: batch for run in pending for name, batch in sets_of(run).items()}
    sizes = {name: patches_in(setting.prepared / name) for name in batch_of}
    with _locked(setting.prepared / "features", children) as (folder, lock):
        _forget_other_data(setting, folder)
        requests: dict[str, dict[str, Any]] = {}
        places = {item: _place(setting, item.name, item.blob, batch_of[item.name])
                  for item in items_of(pending, sizes)}
        missing = worth_storing(
            list(places), setting.cache_bytes - features.stored_bytes(folder),
            [item for item, place in places.items() if features.is_stored(place)])
        for item in missing:
            request = requests.setdefault(item.name, {
                "folder": str(folder),
                "patches": str(setting.prepared / item.name / "lmdb"), "targets": {},
                "mean_bgr": setting.mean_bgr, "batch_size": batch_of[item.name],
                "source": str(setting.source.path), "gpu": setting.gpu,
                "deploy": str(folder / "deploy.prototxt")})
            request["targets"][item.blob] = str(places[item])
        check_free(folder, sum(item.size_bytes for item in missing))
        with atomic_text(folder / "deploy.prototxt") as handle:
            handle.write(text_of(alexnet.deploy("AlexNet", setting.task.last_layer,
                                                len(setting.task.classes))))
        total = sum(sizes[name] for name in requests)
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            done = [pool.submit(children.run, ["features", json.dumps(requests[name])],
                                setting.blas, folder / f"{name}.log",
                                lambda event: on_event(event.get("patches", 0), total), None, lock)
                    for name in sorted(requests, key=lambda name: -sizes[name])]
        for future in done:
            future.result()


@contextmanager
def _locked(folder: Path, children: Children) -> Iterator[tuple[Path, int]]:
    """Hold the folder of stored activations; the folder and the lock, for children to hold too.

    Waits for another command that is at it. Clears a killed one's rest.
    """
    waiting = wait_for(folder, "another command that stores activations there")

    def busy() -> None:
        waiting()
        if children.stopping:
            raise Interrupted("stopped before it began")
    try:
        with hold(folder, busy) as handle:
            for pattern in (f".*{features.PARTIAL}*", f"*/*/.*{features.PARTIAL}*"):
                for left in folder.glob(pattern):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield folder, handle
    except OSError as error:
        raise refused(error, folder) from error


def _forget_other_data(setting: Setting, folder: Path) -> None:
    """Remove the activations of patches that the prepared data no longer hold."""
    sets = read_json(setting.prepared / "source.json")["sets"].values()
    for path in folder.iterdir():
        if path.is_dir() and not any(features.is_of(path.name, each["content_sha256"])
                                     for each in sets):
            shutil.rmtree(path)


def _place(setting: Setting, name: str, blob: str, batch: int) -> Path:
    assert setting.source is not None
    content = read_json(setting.prepared / "source.json")["sets"][name]["content_sha256"]
    kind = "gpu" if setting.gpu is not None else \
        f"{setting.blas.get('OPENBLAS_CORETYPE', 'cpu')}, threads: {setting.threads}"
    key = features.key_of(content, setting.source.sha1, setting.mean_bgr, batch, kind)
    return setting.prepared / "features" / key / blob / name


def tail_of(setting: Setting, run: Run) -> Tail | None:
    """The stored activations this run may train on, None when they are not there or not wanted.

    Those of the test set may be missing: then the whole network scores it.
    """
    blob = prefix.boundary(depth_named(run.init))
    if setting.source is None or blob is None or not setting.cache_bytes:
        return None
    train, validation, test = (_place(setting, name, blob, batch)
                               for name, batch in sets_of(run).items())
    stored = features.is_stored(train) and features.is_stored(validation)
    return Tail(blob, train, validation, test) if stored else None
