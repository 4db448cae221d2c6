"""A random forest that learns from bags: of each positive bag at least one instance is positive.

Several candidates may belong to one lesion, and one good one is enough to find it; the others may
show little of it. mi-SVM (Andrews, Tsochantaridis, Hofmann, NIPS 2002) treats the labels of the
instances in positive bags as unknown: it alternates between training and relabelling, and keeps
one positive instance per bag. MIForests (Leistner, Saffari, Bischof, ECCV 2010) do that with
forests. Ours is the plain alternation, by out-of-bag votes and without MIForests' annealing.

Classes are balanced by weights in every tree (Chen, Liaw, Breiman, Using random forest to learn
imbalanced data, 2004). A tree draws bags, and of each one instance, so that every lesion counts the
same and what is out of bag has no sibling in it. This is why the trees are grown here one by one:
scikit-learn's forests draw single rows, and what weights do to the draw differs between versions.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier


@dataclass(frozen=True)
class ForestSettings:
    trees: int = 300
    leaf: int = 3
    """Fewest instances in a leaf."""
    rounds: int = 10
    """Most relabellings; 0 trains once, every instance of a positive bag positive."""
    outscored: float = 0.9
    """Share of the negatives that an instance of a positive bag must outscore to stay positive. A
    probability would not do: that of rare positives is low in deep trees, whatever the weights."""


DEFAULTS = ForestSettings()


@dataclass(frozen=True)
class BagForest:
    """A trained forest, and the labels it came to believe in (bool, in the order given)."""

    trees: tuple[DecisionTreeClassifier, ...]
    labels: np.ndarray
    rounds: int

    def probability(self, values: np.ndarray) -> np.ndarray:
        """(n,) probability of the positive class for (n, features), both classes equally common."""
        single = np.asarray(values, np.float32)
        return np.mean([tree.predict_proba(single)[:, 1] for tree in self.trees], axis=0)


def fit(values: np.ndarray, bags: Sequence[str], keys: Sequence[str], seed: int,
        settings: ForestSettings = DEFAULTS) -> BagForest:
    """Train on `values` (n, features); `bags` name the positive bag, "" a negative instance.

    Each round labels positive those instances of positive bags that outscore, out of bag, as many
    negatives as the settings say, and the best one of each bag in any case, and trains again from
    the same seed, until no label changes or the labels of an earlier round come back. `keys` are
    unique and give the order of the instances: that of the rows changes nothing. Raises ValueError
    unless both classes are there.
    """
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), int)
    ordered = np.asarray(values, np.float32)[order]
    names, bag_of = np.unique(np.asarray(bags, dtype=str)[order], return_inverse=True)
    if len(names) < 2 or names[0]:
        raise ValueError("a forest needs positive and negative instances")
    labels, count = bag_of > 0, 0  # "" comes first of all names
    members = [np.flatnonzero(bag_of == bag) for bag in range(1, len(names))]
    seen = {labels.tobytes()}
    while True:
        trees, score = _grow(ordered, labels, bag_of, seed, settings)
        if count == settings.rounds:
            break
        threshold = np.quantile(score[bag_of == 0], settings.outscored)
        relabelled = (bag_of > 0) & (score > threshold)
        relabelled[[rows[np.argmax(score[rows])] for rows in members]] = True
        if relabelled.tobytes() in seen:
            break
        seen.add(relabelled.tobytes())
        labels, count = relabelled, count + 1
    original = np.empty_like(labels)
    original[order] = labels
    return BagForest(trees, original, count)


def _grow(values: np.ndarray, labels: np.ndarray, bag_of: np.ndarray, seed: int,
          settings: ForestSettings) -> tuple[tuple[DecisionTreeClassifier, ...], np.ndarray]:
    """Trees, and each instance's probability by those that saw nothing of its bag.

    A tree sees as many bags as there are, drawn with replacement, and two thirds of the negatives,
    drawn without (about what a bootstrap would hold), both classes of the same total weight. An
    instance of which every tree saw something (with few bags and few trees) gets 0.
    """
    rng = np.random.default_rng(seed)
    bags = int(bag_of.max())
    trees, total, votes = [], np.zeros(len(labels)), np.zeros(len(labels))
    for _ in range(settings.trees):
        # The draws do not depend on the labels, so that a few other labels make a few other trees.
        mixed, chosen = rng.permutation(len(labels)), rng.integers(bags, size=bags)
        positive, negative = mixed[labels[mixed]], mixed[~labels[mixed]]
        one_of_each = positive[np.unique(bag_of[positive], return_index=True)[1]]
        drawn = np.concatenate([one_of_each[chosen], negative[:math.ceil(len(negative) * 2 / 3)]])
        weight = np.where(labels[drawn], (len(drawn) - bags) / bags, 1.0)
        tree = DecisionTreeClassifier(max_features="sqrt", min_samples_leaf=settings.leaf,
                                      random_state=int(rng.integers(2 ** 31)))
        trees.append(tree.fit(values[drawn], labels[drawn], weight))
        unseen = ~np.isin(bag_of, bag_of[drawn]) | (bag_of == 0)
        unseen[drawn] = False
        if unseen.any():
            total[unseen] += tree.predict_proba(values[unseen])[:, 1]
            votes[unseen] += 1
    return tuple(trees), total / np.maximum(votes, 1)
