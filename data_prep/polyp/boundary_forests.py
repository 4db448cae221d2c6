"""Two random forests that tell a polyp's boundary from other edges, and its two sides apart.

After "shape in context" (Tajbakhsh, Gurudu, Liang, TMI 35(2):630-644, 2016), as remembered. The
first forest sees an edge's descriptor, taken as if the edge's normal pointed into a polyp, and says
which kind of edge that would be. It is asked about the descriptor and its mirror image. The second
forest sees both answers, and says: no boundary, or one with the inside where the normal points, or
one with the inside on the other side.

The second forest learns from answers about videos that the first has not seen, as it will be used.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from data_prep.polyp.descriptors import mirrored
from data_prep.polyp.edge_kinds import KINDS, POLYP, drawn

SIDES = ("none", "along", "against")
"""No boundary; the inside lies where the normal points; it lies on the other side."""


@dataclass(frozen=True)
class ForestSettings:
    per_kind: int = 4000
    """Edges of each kind that the first forest learns from, at most; the second from half."""
    trees: int = 30
    depth: int = 12
    leaf: int = 5
    pair_trees: int = 30
    pair_depth: int = 8
    pair_leaf: int = 20


DEFAULTS = ForestSettings()


@dataclass(frozen=True)
class Sample:
    """Edges to learn from, one row each."""

    values: np.ndarray
    """float32 (n, features): descriptors."""
    kind: np.ndarray
    """(n,) of KINDS."""
    inward: np.ndarray
    """bool (n,): whether the normal points into the polyp."""
    group: np.ndarray
    """(n,) names of the videos."""

    def rows(self, chosen: np.ndarray) -> Sample:
        return Sample(self.values[chosen], self.kind[chosen], self.inward[chosen],
                      self.group[chosen])


@dataclass(frozen=True)
class Forest:
    """Decision trees as flat arrays; a leaf is its own successor."""

    roots: np.ndarray      # int32 (trees,)
    feature: np.ndarray    # int16 (nodes,)
    threshold: np.ndarray  # float32 (nodes,)
    left: np.ndarray       # int32 (nodes,)
    right: np.ndarray      # int32 (nodes,)
    share: np.ndarray      # float32 (nodes, classes)
    depth: int

    def probability(self, values: np.ndarray) -> np.ndarray:
        """float32 (n, classes): the trees' mean for (n, features)."""
        node = np.tile(self.roots, (len(values), 1))
        row = (np.arange(len(values)) * values.shape[1])[:, None]
        flat = np.ascontiguousarray(values, np.float32).ravel()
        for _ in range(self.depth):
            below = flat.take(row + self.feature.take(node)) <= self.threshold.take(node)
            node = np.where(below, self.left.take(node), self.right.take(node))
        return np.asarray(self.share[node].mean(1))


_FIELDS = ("roots", "feature", "threshold", "left", "right", "share")


def flattened(forest: RandomForestClassifier) -> Forest:
    """A scikit-learn forest as arrays."""
    parts: dict[str, list[np.ndarray]] = {}
    roots, start = [], 0
    for each in forest.estimators_:
        tree = each.tree_
        own, leaf = np.arange(tree.node_count), tree.children_left < 0
        value = tree.value[:, 0]
        for name, column in (
                ("feature", np.where(leaf, 0, tree.feature).astype(np.int16)),
                ("threshold", np.where(leaf, 0, tree.threshold).astype(np.float32)),
                ("left", (start + np.where(leaf, own, tree.children_left)).astype(np.int32)),
                ("right", (start + np.where(leaf, own, tree.children_right)).astype(np.int32)),
                ("share", (value / value.sum(1, keepdims=True)).astype(np.float32))):
            parts.setdefault(name, []).append(column)
        roots.append(start)
        start += tree.node_count
    depth = max(each.tree_.max_depth for each in forest.estimators_)
    return _forest({"roots": np.array(roots, np.int32),
                    **{name: np.concatenate(columns) for name, columns in parts.items()}}, depth)


def _forest(columns: Mapping[str, np.ndarray], depth: int) -> Forest:
    return Forest(columns["roots"], columns["feature"], columns["threshold"], columns["left"],
                  columns["right"], columns["share"], depth)


@dataclass(frozen=True)
class BoundaryForests:
    kinds: Forest
    sides: Forest

    def probability(self, values: np.ndarray) -> np.ndarray:
        """float32 (n, 3) of descriptors: no boundary, inside along the normal, or against it."""
        return self.sides.probability(pair(self.kinds, values))


def pair(kinds: Forest, values: np.ndarray) -> np.ndarray:
    """(n, 2 * len(KINDS)): the first forest's answers to descriptors and their mirror images."""
    return np.concatenate([kinds.probability(values), kinds.probability(mirrored(values))], axis=1)


def learn(sample: Sample, seed: int, settings: ForestSettings = DEFAULTS) -> BoundaryForests:
    """Forests from edges of two videos or more; of one, the edges themselves are split.

    ValueError without a polyp's boundary among them.
    """
    if not (sample.kind == POLYP).any():
        raise ValueError("no edge of these frames is the boundary of a polyp")
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(sample.group))
    first = np.isin(sample.group, groups[::2]) if len(groups) > 1 \
        else rng.random(len(sample.group)) < 0.5
    pairs, sides = [], []
    for known in (first, ~first):
        kinds = _learn_kinds(sample.rows(known), rng, settings)
        unseen = sample.rows(drawn(np.where(known, -1, sample.kind), settings.per_kind // 2, rng))
        pairs.append(pair(kinds, unseen.values))
        sides.append(np.where(unseen.kind != POLYP, 0, np.where(unseen.inward, 1, 2)))
    second = _fit(np.concatenate(pairs), np.concatenate(sides), len(SIDES), RandomForestClassifier(
        settings.pair_trees, max_depth=settings.pair_depth, min_samples_leaf=settings.pair_leaf,
        random_state=int(rng.integers(2 ** 31))))
    return BoundaryForests(_learn_kinds(sample, rng, settings), second)


def _learn_kinds(sample: Sample, rng: np.random.Generator, settings: ForestSettings) -> Forest:
    """Polyps' edges are shown with the normal inwards, all others either way."""
    shown = sample.rows(drawn(sample.kind, settings.per_kind, rng))
    as_is = np.where(shown.kind == POLYP, shown.inward, rng.random(len(shown.kind)) < 0.5)
    values = np.where(as_is[:, None], shown.values, mirrored(shown.values))
    return _fit(values, shown.kind, len(KINDS), RandomForestClassifier(
        settings.trees, max_depth=settings.depth, min_samples_leaf=settings.leaf,
        random_state=int(rng.integers(2 ** 31))))


def _fit(values: np.ndarray, labels: np.ndarray, classes: int, forest: RandomForestClassifier
         ) -> Forest:
    """A forest with a column for every class, also for one that these videos do not show."""
    weight = np.concatenate([np.ones(len(labels)), np.full(classes, 1e-9)])
    blank = np.zeros((classes, values.shape[1]), np.float32)
    forest.fit(np.concatenate([values, blank]), np.concatenate([labels, np.arange(classes)]),
               weight)
    return flattened(forest)


def to_arrays(forests: BoundaryForests) -> dict[str, np.ndarray]:
    """Named arrays, to be stored."""
    return {f"{stage}_{name}": np.asarray(getattr(getattr(forests, stage), name))
            for stage in ("kinds", "sides") for name in (*_FIELDS, "depth")}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> BoundaryForests:
    """The forests of such arrays."""
    return BoundaryForests(*(
        _forest({name: arrays[f"{stage}_{name}"] for name in _FIELDS},
                int(arrays[f"{stage}_depth"])) for stage in ("kinds", "sides")))
