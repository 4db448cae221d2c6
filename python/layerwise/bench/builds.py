"""Building LMDBs of patches of the prepared phantom, timed as a whole and stage by stage.

The patches are cut by the task's own preparation, found by name: layerwise does not import it.
"""
from __future__ import annotations

import hashlib
import importlib
import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.contracts import IndexRow, read_candidates

SEED = 1
STAGED = 64            # patches whose stages are timed


def build(request: Mapping[str, Any]) -> dict[str, float]:
    """Seconds, and seconds of processor time of all processes, per patch of building one set.

    The request's `single` writes every patch in a transaction of its own, synced as LMDB does
    unless told otherwise: the loop that most converters are.
    """
    cutting, store = _module("cutting"), _module("lmdb_store")
    recipe, cuts, rows = _plan(request)
    folder = Path(request["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    importlib.import_module("caffe.proto.caffe_pb2")       # else with the first patch
    begin, used = time.perf_counter(), _processor_seconds()
    with closing(cutting.cut_all(recipe.views, cuts, request["jobs"], "patches")) as values:
        if request["single"]:
            _write_singly(folder / "lmdb", rows, values)
        else:
            store.write_set(folder, rows, values, _module("sets").DATUM_BYTES)
    return {"seconds": (time.perf_counter() - begin) / len(cuts),
            "processor_seconds": (_processor_seconds() - used) / len(cuts),
            "images": len({cut.path for cut in cuts}), "patches": len(cuts)}


def _write_singly(path: Path, rows: Sequence[IndexRow], values: Any) -> None:
    import lmdb

    with lmdb.open(str(path), map_size=1 << 32) as store:
        for row, value in zip(rows, values):
            with store.begin(write=True) as transaction:
                transaction.put(row.key.encode(), value)


def stages(request: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds of processor time of each stage for one patch, and bytes of what it makes.

    PNG is what Caffe's Data layer could read instead (`encoded` Datums): a stage that comes on top
    when writing, and another in every epoch when training.
    """
    import cv2
    import lmdb

    cv2.setNumThreads(1)
    store = _module("lmdb_store")
    recipe, cuts, _ = _plan({**request, "patches": STAGED})
    images = {path: recipe.views.load(path) for path in {cut.path for cut in cuts}}
    patches = [recipe.views.cut(images[cut.path], cut.candidate, cut.view) for cut in cuts]
    datums = [store.datum_bytes(patch, 1) for patch in patches]
    pngs = [cv2.imencode(".png", patch)[1] for patch in patches]
    folder = Path(request["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def write() -> None:
        with database.begin(write=True) as transaction:
            for number, datum in enumerate(datums):
                transaction.put(b"%08d" % number, datum)

    with lmdb.open(str(folder), map_size=1 << 28, sync=False) as database:
        database_ms = _milliseconds(write) / len(cuts)
    return {
        "read and decode one image": _milliseconds(
            lambda: [recipe.views.load(path) for path in images]) / len(images),
        "cut and stretch": _milliseconds(
            lambda: [recipe.views.cut(images[cut.path], cut.candidate, cut.view)
                     for cut in cuts]) / len(cuts),
        "Datum": _milliseconds(
            lambda: [store.datum_bytes(patch, 1) for patch in patches]) / len(cuts),
        "SHA-256": _milliseconds(
            lambda: [hashlib.sha256(datum).digest() for datum in datums]) / len(cuts),
        "LMDB": database_ms,
        "PNG, write": _milliseconds(
            lambda: [cv2.imencode(".png", patch) for patch in patches]) / len(cuts),
        "PNG, read": _milliseconds(
            lambda: [cv2.imdecode(png, cv2.IMREAD_COLOR) for png in pngs]) / len(cuts),
        "raw_bytes": float(np.mean([len(datum) for datum in datums])),
        "png_bytes": float(np.mean([len(png) for png in pngs]))}


def _milliseconds(work: Callable[[], Any]) -> float:
    """Processor time of the fastest of some repetitions."""
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return 1000 * best


def _plan(request: Mapping[str, Any]) -> tuple[Any, list[Any], list[IndexRow]]:
    """The task's recipe, patches drawn as those of the training set, and their index."""
    recipe = importlib.import_module(f"data_prep.{request['task']}.prepare").RECIPE
    prepared = Path(request["prepared"])
    paths = {case.case: recipe.files(case)[0] for case in recipe.read(prepared / "source")}
    pool = read_candidates(prepared / "train-100" / "candidates.csv")
    drawn = _module("sampling").balanced(pool, recipe.views.training, request["patches"], 2,
                                         np.random.default_rng(SEED))
    cuts = [_module("cutting").Cut(paths[row.candidate.case], row.candidate, row.view)
            for row in drawn]
    rows = [IndexRow(_module("lmdb_store").key_of(number), row.candidate.case, row.candidate.group,
                     row.candidate.candidate, row.view, row.candidate.label)
            for number, row in enumerate(drawn)]
    return recipe, cuts, rows


def _module(name: str) -> Any:
    return importlib.import_module(f"data_prep.{name}")


def _processor_seconds() -> float:
    """Of this process and its children that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
