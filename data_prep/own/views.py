"""The patches of a region of your own images: 3 scales x 5 places x 8 symmetries.

As the polyp task's (`patches`), every patch is stretched to 227x227 without keeping the aspect
ratio. A whole image cannot be enlarged, so the scales are 1.0, 0.9 and 0.8 and the shifts 5% of the
scaled box: all but the shifted views of scale 1.0 lie within the box. Images with an up and a left
(`upright`) are neither turned nor mirrored.
"""
from __future__ import annotations

import numpy as np

from data_prep import patches
from data_prep.own import pixels
from data_prep.patches import SYMMETRIES, Augmentation
from data_prep.recipe import Views
from layerwise.contracts import BoxCandidate, Candidate

SCALES = (1.0, 0.9, 0.8)
SHIFTS = tuple((name, np.sign(dx) * 0.05, np.sign(dy) * 0.05) for name, dx, dy in patches.SHIFTS)


def _table(symmetries: tuple[str, ...]) -> tuple[Augmentation, ...]:
    """All views in an order of which every prefix is well spread; the plain box first.

    As in `patches.test_augmentations`: the numbers of scales, shifts and symmetries (3, 5 and 8, or
    1) have no common factor, so each combination comes once.
    """
    found = []
    for i in range(len(SCALES) * len(SHIFTS) * len(symmetries)):
        scale, symmetry = SCALES[i % len(SCALES)], symmetries[i % len(symmetries)]
        name, dx, dy = SHIFTS[i % len(SHIFTS)]
        found.append(Augmentation(f"s{scale}_{name}_{symmetry}", scale, float(dx), float(dy),
                                  symmetry))
    return tuple(found)


_TURNED, _UPRIGHT = _table(SYMMETRIES), _table(SYMMETRIES[:1])
_BY_NAME = {view.name: view for view in _TURNED}


def cut(image: np.ndarray, candidate: Candidate, view: str) -> np.ndarray:
    """(227, 227, 3) uint8 BGR: one view of a candidate's box."""
    assert isinstance(candidate, BoxCandidate)
    return patches.extract(image, (candidate.x, candidate.y, candidate.w, candidate.h),
                           _BY_NAME[view])


def _views(table: tuple[Augmentation, ...]) -> Views:
    names = tuple(view.name for view in table)
    return Views(names, names, pixels.load, cut)


ALL, UPRIGHT = _views(_TURNED), _views(_UPRIGHT)
