"""Frozen prefixes shared by the runs of a command: what to store, storing it, and finding it."""
from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise import alexnet, features, prefix, score
from layerwise.child import Children
from layerwise.contracts import atomic_text, read_index
from layerwise.depths import depth_named
from layerwise.generate import text_of
from layerwise.launch import check_free
from layerwise.plan import Setting
from layerwise.runs import Run, Tail, is_trained, read_json


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
        return self.patches * prefix.bytes_per_patch(self.blob)

    @property
    def worth(self) -> float:
        """Multiply-adds saved per byte stored."""
        return self.passes * prefix.multiplications(self.blob) / prefix.bytes_per_patch(self.blob)


def worth_storing(items: Sequence[Item], budget_bytes: float) -> list[Item]:
    """What to store within a disk budget: what saves most per byte first.

    Storing costs one forward pass over the set, whatever the number of boundaries; a set whose
    runs would not compute it more than once is left alone.
    """
    total: dict[str, float] = {}
    for item in items:
        total[item.name] = total.get(item.name, 0.0) + item.passes
    chosen = []
    for item in sorted(items, key=lambda item: -item.worth):
        if total[item.name] > 1 and item.size_bytes <= budget_bytes:
            chosen.append(item)
            budget_bytes -= item.size_bytes
    return chosen


def sets_of(run: Run) -> dict[str, int]:
    """The sets a run reads, and the batch size that their activations are computed with."""
    return {f"train-{run.fraction}": run.batch_size, f"validation-{run.fraction}": score.BATCH,
            "test": score.BATCH}


def _items(runs: Sequence[Run], sizes: dict[str, int]) -> list[Item]:
    passes: dict[tuple[str, str], float] = {}
    for run in runs:
        blob = prefix.boundary(depth_named(run.init))
        if blob is None:
            continue
        train, validation, test = sets_of(run)
        for name, count in ((train, run.iterations * run.batch_size / sizes[train]),
                            (validation, 1 + run.iterations / run.evaluate_every), (test, 1.0)):
            passes[name, blob] = passes.get((name, blob), 0.0) + count
    return [Item(name, blob, sizes[name], count) for (name, blob), count in passes.items()]


def store_features(setting: Setting, runs: Sequence[Run], budget_bytes: float, jobs: int,
                   children: Children, on_event: Callable[[int, int], None]) -> None:
    """Compute what lies below the first tuned layer of these runs once, where that pays.

    Args:
        budget_bytes: disk space that the stored activations may take; 0 stores nothing.
        on_event: called with the patches done since the last call and the patches in all.
    """
    pending = [run for run in runs if run.source_sha1 and not is_trained(run.folder(setting.runs))]
    if setting.source is None or not pending or not budget_bytes:
        return
    batch_of = {name: batch for run in pending for name, batch in sets_of(run).items()}
    sizes = {name: len(read_index(setting.prepared / name / "index.csv")) for name in batch_of}
    with _locked(setting.prepared / "features") as folder:
        requests: dict[str, dict[str, Any]] = {}
        places = {item: _place(setting, item.name, item.blob, batch_of[item.name])
                  for item in worth_storing(_items(pending, sizes), budget_bytes)}
        missing = [item for item, place in places.items() if not features.is_stored(place)]
        for item in missing:
            request = requests.setdefault(item.name, {
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
                                lambda event: on_event(event.get("patches", 0), total))
                    for name in sorted(requests, key=lambda name: -sizes[name])]
        for future in done:
            future.result()


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Hold the folder of stored activations; a second command waits. Clears a killed one's rest."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"*/*/.*{features.PARTIAL}*"):
            shutil.rmtree(left)
        yield folder
    finally:
        os.close(handle)


def _place(setting: Setting, name: str, blob: str, batch: int) -> Path:
    assert setting.source is not None
    content = read_json(setting.prepared / "source.json")["sets"][name]["content_sha256"]
    kind = "gpu" if setting.gpu is not None else setting.blas.get("OPENBLAS_CORETYPE", "cpu")
    key = features.key_of(content, setting.source.sha1, setting.mean_bgr, batch, kind)
    return setting.prepared / "features" / key / blob / name


def tail_of(setting: Setting, run: Run) -> Tail | None:
    """The stored activations this run may train on, None when they are not there.

    Those of the test set may be missing: then the whole network scores it.
    """
    blob = prefix.boundary(depth_named(run.init))
    if setting.source is None or blob is None:
        return None
    train, validation, test = (_place(setting, name, blob, batch)
                               for name, batch in sets_of(run).items())
    stored = features.is_stored(train) and features.is_stored(validation)
    return Tail(blob, train, validation, test) if stored else None
