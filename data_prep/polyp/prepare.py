"""The data of the polyp task: frames, candidates, split and patches, in one folder.

`<data>/polyp/<dataset>/` holds cases.csv, candidates.csv, source.json, and the sealed folders
detections/ (candidates before trimming), train-100/, validation-100/, ... and test/; for the
phantom also source/, its frames. inputs.json remembers the hashes of the frames. Every part is
complete or absent, and made again only when what it is made from has changed. source.json comes
last: without it the data set is not finished.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_prep import (
    cutting,
    images,
    lmdb_store,
    patches,
    sampling,
    seal,
    sets,
    splits,
)
from data_prep.polyp import candidates as proposals
from data_prep.polyp import (
    colon,
    detector,
    endoscope,
    growths,
    phantom,
    rays,
    reader,
    scene,
    sensor,
)
from data_prep.polyp.reader import Frame
from data_prep.request import Request
from layerwise.contracts import Candidate, Case, read_candidates, write_rows
from layerwise.errors import InputError

TASK = "polyp"
SUMMARY = "source.json"

# What a part is made with: a change of its code makes it again.
PHANTOM_CODE = (phantom, colon, endoscope, growths, rays, scene, sensor)
DETECTION_CODE = (detector, proposals, reader, images)
SET_CODE = (*DETECTION_CODE, splits, sampling, patches, lmdb_store, cutting, sets)


def prepare(request: Request) -> Path:
    """Make the data set of a request, or as much of it as is missing; the folder it is in.

    With a `source` of None the phantom is rendered first. Raises InputError for unusable input (as
    `reader.read_frames`), no candidates, too few groups or patches, a full or unwritable disk.
    """
    origin = request.source.resolve().name if request.source else "phantom"
    dataset = request.data / TASK / f"{origin}-{request.profile.name}"
    if request.source:
        reader.read_frames(request.source)  # complain before anything is made
    with seal.file_errors(dataset), seal.locked(dataset):
        source = request.source or _phantom(request, dataset / "source")
        _prepare(request, source, dataset)
    return dataset


def _prepare(request: Request, source: Path, dataset: Path) -> None:
    frames = reader.read_frames(source)
    found = proposals.inspect_frames(frames, dataset / "inputs.json", request.jobs)
    proposals.refuse_shared_images(frames, found)
    inputs = proposals.inputs_digest(frames, found)
    made_from = {
        "inputs_sha256": inputs, "seed": request.seed, "test_fraction": request.test_fraction,
        **{key: getattr(request.profile, key) for key in
           ("patches", "test_patches", "candidates_per_case", "batch_size")},
        "code_sha256": seal.code_digest(*SET_CODE)}
    if _is_finished(dataset, made_from, sets.set_names(request.fractions)):
        return
    (dataset / SUMMARY).unlink(missing_ok=True)
    every = _detections(request, dataset / "detections", frames, inputs)
    chosen = proposals.best(every, request.profile.candidates_per_case)
    try:
        side_of, planned = _plan(request, frames, chosen)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    cases = [Case(frame.case, frame.group, side_of[frame.group], found[frame.case].lesions)
             for frame in frames]
    write_rows(dataset / "cases.csv", cases, Case)
    write_rows(dataset / "candidates.csv", chosen, Candidate)
    sets.write_sets(dataset, planned, made_from,
                    {frame.case: frame.image_path for frame in frames}, request)
    _summarise(request, dataset, made_from, cases, chosen, proposals.recall(cases, every))


def _plan(request: Request, frames: Sequence[Frame], chosen: Sequence[Candidate]
          ) -> tuple[dict[str, str], list[sets.PatchSet]]:
    """The side of the split that each group is on, and the sets of patches to write."""
    kind_of = splits.kinds(((row.group, row.label) for row in chosen),
                           {frame.group for frame in frames})
    side_of = splits.assign(kind_of, {frame.group: frame.split for frame in frames},
                            request.test_fraction, request.seed)
    order = splits.training_order({group: kind for group, kind in kind_of.items()
                                   if side_of[group] == "train"}, request.seed)
    return side_of, sets.plan(request, chosen, side_of, order)


def _is_finished(dataset: Path, made_from: Mapping[str, Any], names: Sequence[str]) -> bool:
    summary = seal.read_json(dataset / SUMMARY)
    return summary.get("made_from") == made_from \
        and all(seal.is_sealed(dataset / name, made_from) for name in names) \
        and all(seal.file_digest(dataset / name) == sha256
                for name, sha256 in summary["sha256"].items())


def _phantom(request: Request, folder: Path) -> Path:
    """Render the phantom unless it is there already."""
    settings = phantom.PhantomSettings(videos=request.profile.phantom_groups,
                                       frames_per_video=request.profile.phantom_cases)
    made_from = {"settings": asdict(settings), "seed": request.seed,
                 "code_sha256": seal.code_digest(*PHANTOM_CODE)}
    if not seal.is_sealed(folder, made_from):
        with seal.sealed(folder, made_from) as draft:
            phantom.write_phantom(draft.path, settings, request.seed, request.jobs)
    return folder


def _detections(request: Request, folder: Path, frames: Sequence[Frame], inputs: str
                ) -> list[Candidate]:
    """All labelled candidates, from the last run where frames and detector are the same.

    More are kept than the profile trains on, for the recall of longer lists.
    """
    keep = max(*proposals.RECALL_AT, request.profile.candidates_per_case)
    made_from = {"inputs_sha256": inputs, "keep": keep,
                 "code_sha256": seal.code_digest(*DETECTION_CODE)}
    if not seal.is_sealed(folder, made_from):
        rows = proposals.detect_all(frames, keep, request.jobs)
        if not rows:
            raise InputError(f"{frames[0].image_path.parent}: no candidates in any of "
                             f"{len(frames)} frames; are these colonoscopy frames?")
        with seal.sealed(folder, made_from) as draft:
            write_rows(draft.path / "candidates.csv", rows, Candidate)
    return read_candidates(folder / "candidates.csv")


def _summarise(request: Request, dataset: Path, made_from: Mapping[str, Any],
               cases: Sequence[Case], chosen: Sequence[Candidate],
               recall: Mapping[str, Mapping[str, float]]) -> None:
    """Write source.json and print what a reader of the results has to know."""
    facts = {folder.name: seal.read_json(folder / seal.SEAL)["facts"]
             for folder in sets.written_sets(dataset)}
    counts = {split: {
        "groups": len({case.group for case in cases if case.split == split}),
        "frames": sum(case.split == split for case in cases),
        "lesions": sum(case.lesions for case in cases if case.split == split),
        "candidates": sum(row.case in names for row in chosen),
        "positive_candidates": sum(row.case in names and row.label for row in chosen)}
        for split in ("train", "test")
        for names in [{case.case for case in cases if case.split == split}]}
    # Nobody has the paper's private videos: whatever the frames are, they stand in for them.
    stand_in = f"{request.source.resolve().name} frames" if request.source else "phantom"
    seal.write_json(dataset / SUMMARY, {
        "task": TASK, "dataset": dataset.name, "stand_in": stand_in,
        "seed": request.seed,
        "settings": {"profile": request.profile.name, "test_fraction": request.test_fraction,
                     "fractions": list(request.fractions)},
        "counts": counts, "recall_by_candidates_per_frame": recall, "sets": facts,
        "made_from": made_from,
        "sha256": {name: seal.file_digest(dataset / name)
                   for name in ("cases.csv", "candidates.csv")}})
    print(f"{dataset.name}: {stand_in} (stand-in)")
    for split, row in counts.items():
        print(f"  {split}: " + ", ".join(f"{value} {key.replace('_', ' ')}"
                                         for key, value in row.items()))
    for split, curve in recall.items():
        print(f"  lesions hit by the first 1, 2, ... candidates per frame, {split}: "
              + ", ".join(f"{keep}: {value:.2f}" for keep, value in curve.items()))
