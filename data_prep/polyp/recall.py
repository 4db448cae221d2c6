"""Recall of the detector against candidates per frame, from the command line.

    python3 -m data_prep.polyp.recall FOLDER [--groups 16,17,18]
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import click

from data_prep.polyp import candidates as proposals
from data_prep.polyp import reader
from layerwise.contracts import Case
from layerwise.errors import LayerwiseError


def recall_table(frames: Sequence[reader.Frame], jobs: int = 1) -> tuple[int, Mapping[str, float]]:
    """Lesions in the frames, and the share hit by the best 1, 2, 3, 5, 10 candidates of a frame.

    A lesion is hit when the centre of a candidate's box lies in it. Without lesions the shares are
    empty.
    """
    cases = [Case(frame.case, frame.group, "test",
                  proposals.lesion_map(reader.load_mask(frame))[1]) for frame in frames]
    found = proposals.detect_all(frames, max(proposals.RECALL_AT), jobs)
    shares = proposals.recall(cases, found).get("test", {})
    return sum(case.lesions for case in cases), shares


@click.command()
@click.argument("folder", type=Path)
@click.option("--groups", help="Only these groups (videos), separated by commas.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(folder: Path, groups: Optional[str], jobs: int) -> None:
    """Print the recall of the geometric detector on a FOLDER of frames and masks."""
    try:
        frames = reader.read_frames(folder)
        if groups is not None:
            wanted = set(groups.split(","))
            frames = [frame for frame in frames if frame.group in wanted]
        lesions, shares = recall_table(frames, jobs)
    except LayerwiseError as error:
        raise SystemExit(f"recall: {error}") from error
    click.echo(f"{len(frames)} frames, {lesions} lesions")
    for keep, share in shares.items():
        click.echo(f"{keep:>3} per frame: {share:6.1%}  {round(share * lesions)} found")


if __name__ == "__main__":
    main()
