"""Polyp candidates by "shape in context": boundary edges vote for what they surround.

After Tajbakhsh, Gurudu, Liang (TMI 35(2):630-644, 2016), step by step: `edges`, `descriptors`,
`boundary_forests`, `voting`, `band`. The forests are learnt from frames with masks, by `learn`; a
model is one .npz file, which also holds the regression of the band. Lengths are pixels of a frame
of working size.
"""
from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.polyp import band, boundary_forests, descriptors, edge_kinds, edges, voting
from data_prep.polyp.boundary_forests import BoundaryForests, Sample
from layerwise.contracts import write_bytes
from layerwise.errors import InputError


@dataclass(frozen=True)
class Candidate:
    """A box, pixels of the frame, `x`, `y` its upper left corner; `score` is in [0, 1]."""

    x: float
    y: float
    w: float
    h: float
    score: float

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the middle of the box."""
        return self.x + self.w / 2, self.y + self.h / 2


@dataclass(frozen=True)
class ShapeSettings:
    confidence: float = 0.25
    """Least probability at which an edge counts as a boundary with that inside."""
    votes: tuple[voting.VoteSettings, ...] = tuple(
        voting.VoteSettings(sigma=sigma) for sigma in (8.0, 24.0, 48.0))
    """One map each: the votes of a large outline do not reach its middle in the first."""
    maxima: int = 20
    """Maxima examined per map."""
    band_width: float = 1.5
    """Half of the band, in units of the regression's error."""
    filled_px: float = 4.0
    """Of the outline a voter fills so much to both sides: edges are thinned out to one a cell."""
    half_votes: float = 0.17
    """A maximum of so many votes per pixel of sigma halves the score."""
    apart: float = 0.25
    """Two boxes with more overlap (intersection over union) than this are one candidate."""
    max_candidates: int = 10
    per_frame: int = 50
    """Edges of each kind taken from a frame for learning, at most."""
    forests: boundary_forests.ForestSettings = boundary_forests.DEFAULTS
    synthetic: band.SyntheticSettings = band.DEFAULTS


DEFAULTS = ShapeSettings()


@dataclass(frozen=True)
class Model:
    forests: BoundaryForests
    regressions: tuple[band.Regression, ...]  # of each map


@dataclass(frozen=True)
class Found:
    """Every stage of one frame, in pixels of working size; rows of candidates are best first."""

    edges: edges.Edges
    voters: voting.Voters
    votes: np.ndarray     # float32 (maps, rows, columns)
    centres: np.ndarray   # (n, 2) x, y of maxima
    outlines: np.ndarray  # (n, RAYS) expected distance of the outline
    widths: np.ndarray    # (n,) half of the band, as a share of that distance
    boxes: np.ndarray     # (n, 4) x, y, w, h
    scores: np.ndarray    # (n,)


def detect(image: np.ndarray, model: Model, settings: ShapeSettings = DEFAULTS
           ) -> list[Candidate]:
    """Candidates of one frame, best first, at most `settings.max_candidates`.

    `image`: uint8 (height, width, 3), BGR. Raises ValueError on any other array.
    """
    image, scale = edges.working_size(image)
    found = stages(image, model, settings)
    rows = np.concatenate([found.boxes / scale, found.scores[:, None]], 1)
    return [Candidate(*row) for row in rows.tolist()]


def stages(image: np.ndarray, model: Model, settings: ShapeSettings = DEFAULTS) -> Found:
    """All that is found on the way to the candidates of a frame of working size."""
    every = edges.find_edges(image)
    voters = choose(every, model.forests.probability(_described(image, every)),
                    settings.confidence)
    return vote(every, voters, image.shape[:2], model.regressions, settings)


def choose(every: edges.Edges, probability: np.ndarray, least: float) -> voting.Voters:
    """The edges (n) that are a boundary by their probabilities (n, 3), turned inwards."""
    side = np.where(probability[:, 1] >= probability[:, 2], 1, -1).astype(np.float32)
    confidence = probability[:, 1:].max(1)
    chosen = confidence >= least
    return voting.Voters(every.at[chosen], (every.normal * side[:, None])[chosen],
                         confidence[chosen])


def vote(every: edges.Edges, voters: voting.Voters, shape: tuple[int, int],
         regressions: Sequence[band.Regression], settings: ShapeSettings = DEFAULTS) -> Found:
    """What voters make of a frame of `shape` (h, w)."""
    maps = [_seen(voters, shape, *each, settings) for each in zip(settings.votes, regressions)]
    votes = np.stack([each[0] for each in maps])
    centres, outlines, widths, scores = (np.concatenate(column)
                                         for column in zip(*(each[1:] for each in maps)))
    boxes = band.boxes(centres, outlines)
    best = _distinct(boxes, scores, settings)
    return Found(every, voters, votes, centres[best], outlines[best], widths[best], boxes[best],
                 scores[best])


def _seen(voters: voting.Voters, shape: tuple[int, int], how: voting.VoteSettings,
          regression: band.Regression, settings: ShapeSettings) -> tuple[np.ndarray, ...]:
    """One map of votes; of its maxima the places, outlines, widths of the band and scores.

    The score is the mean over directions of the confidence of the voter in the band, less where
    there are few votes.
    """
    votes = voting.vote_map(voters, shape, how)
    centres, height = _maxima(votes, how.stride, settings.maxima)
    outlines = band.outlines(votes, centres, how.stride, regression)
    width = settings.band_width * regression.spread
    filled = band.support(voters, centres, outlines, width, settings.filled_px)
    half = settings.half_votes * how.sigma
    return (votes, centres, outlines, np.full(len(centres), width),
            band.shared(filled).mean(1) * height / (height + half))


@dataclass(frozen=True)
class Example:
    """A frame to learn from."""

    group: str                      # its video
    image: np.ndarray               # uint8 (h, w, 3), BGR
    mask: np.ndarray                # bool (h, w), True on a polyp
    kinds: np.ndarray | None = None  # uint8 (h, w) of `edge_kinds.MAPPED` or 0; else by rules


def learn(frames: Iterable[Example], seed: int, settings: ShapeSettings = DEFAULTS) -> Model:
    """A model from frames with masks.

    ValueError unless boundaries of polyps are among their edges.
    """
    rng = np.random.default_rng(seed)
    parts = [_sample(frame, rng, settings.per_frame) for frame in frames]
    if not parts:
        raise ValueError("no frames to learn from")
    sample = Sample(*(np.concatenate([getattr(part, name) for part in parts])
                      for name in ("values", "kind", "inward", "group")))
    return Model(boundary_forests.learn(sample, seed, settings.forests),
                 tuple(band.learn(seed, how, settings.synthetic) for how in settings.votes))


def _sample(frame: Example, rng: np.random.Generator, most: int) -> Sample:
    """At most so many edges of each kind of a frame, at random."""
    small, _ = edges.working_size(frame.image)

    def resized(labels: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(labels.astype(np.uint8), small.shape[1::-1],
                                     interpolation=cv2.INTER_NEAREST))
    every = edges.find_edges(small)
    truth = edge_kinds.label(small, resized(frame.mask) > 0, every,
                             None if frame.kinds is None else resized(frame.kinds))
    chosen = edge_kinds.drawn(truth.kind, most, rng)
    picked = edges.Edges(every.at[chosen], every.normal[chosen])
    return Sample(_described(small, picked), truth.kind[chosen], truth.inward[chosen],
                  np.full(len(chosen), frame.group))


def write_model(path: Path, model: Model) -> None:
    """Write a model as .npz, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **boundary_forests.to_arrays(model.forests),
                        bands=np.array([[each.spread, each.bias, *each.weights]
                                        for each in model.regressions]))
    write_bytes(path, buffer.getvalue())


def read_model(path: Path) -> Model:
    """A model, read once by each process. InputError where there is none or it is not one."""
    try:
        return _read_model(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a model of the polyp candidates ({error})") from None


@functools.lru_cache(maxsize=4)
def _read_model(path: Path, _changed: int) -> Model:
    with np.load(path) as arrays:
        return Model(boundary_forests.from_arrays(arrays), tuple(
            band.Regression(bias, tuple(weights), spread)
            for spread, bias, *weights in arrays["bands"].tolist()))


def _described(image: np.ndarray, every: edges.Edges) -> np.ndarray:
    """float32 (n, FEATURES) of the edges of a frame."""
    if not len(every):
        return np.zeros((0, descriptors.FEATURES), np.float32)
    return descriptors.describe(descriptors.patches(descriptors.channels(image), every.at,
                                                    every.normal))


def _maxima(votes: np.ndarray, stride: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """x, y (n, 2) in pixels of the highest local maxima, and their heights (n,)."""
    peak = (votes == cv2.dilate(votes, np.ones((5, 5), np.uint8))) & (votes > 0.02 * votes.max())
    rows, columns = np.nonzero(peak)
    best = np.argsort(-votes[rows, columns], kind="stable")[:most]
    at = np.stack([columns[best], rows[best]], 1)
    return at * stride + (stride - 1) / 2, votes[rows[best], columns[best]]


def _distinct(boxes: np.ndarray, scores: np.ndarray, settings: ShapeSettings) -> list[int]:
    """Indices of the best boxes, best first, without those that repeat a better one."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2] * boxes[:, 3]
    found: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if len(found) == settings.max_candidates:
            break
        side = np.maximum(np.minimum(high[i], high[found]) - np.maximum(low[i], low[found]), 0)
        overlap = side[:, 0] * side[:, 1]
        if np.all(overlap <= settings.apart * (area[i] + area[found] - overlap)):
            found.append(int(i))
    return found
