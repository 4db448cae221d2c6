"""What claims are decided on beside resampled sensitivities: boundary errors, and chance."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerwise.analysis.bootstrap import RESAMPLES, group_weights, percentile_interval
from layerwise.analysis.boundary_error import INTERFACES, errors_um
from layerwise.analysis.claim_rows import CHANCE_MARGIN, Contrast, SystemKey
from layerwise.analysis.collect import Study
from layerwise.analysis.compare import Resampled, region_groups, runs_drawn
from layerwise.analysis.marks import chance_sensitivity
from layerwise.analysis.operating import BOOTSTRAP_SEED
from layerwise.errors import LayerwiseError

WHOLE = (0.0,)   # boundaries have no operating points: one value per system


def resample_errors(study: Study) -> Resampled:
    """Negated mean error over regions and both interfaces, micrometres, in resamples of subjects.

    As `compare.resample`, with one column.
    """
    found = Resampled(WHOLE, study.test_groups, {}, {}, {})
    if found.groups < 2:
        return found
    weights = group_weights(found.groups, RESAMPLES, BOOTSTRAP_SEED)
    index = region_groups(study)
    sizes = weights @ np.bincount(index)
    estimates, draws, seeds = {}, {}, {}
    for key in dict.fromkeys((run.init, run.fraction) for run in study.runs):
        errors = [np.mean([errors_um(run.boundary, one) for one in INTERFACES], axis=0)
                  for run in study.of(*key)]
        sums = np.array([np.bincount(index, weights=one) for one in errors])
        shares = runs_drawn(key, len(errors), RESAMPLES)
        draws[key] = -np.einsum("bs,bs->b", shares, weights @ sums.T)[:, None] / sizes[:, None]
        estimates[key], seeds[key] = np.array([-np.mean(errors)]), len(errors)
    return replace(found, estimates=estimates, draws=draws, seeds=seeds)


def at_chance(contrasts: Sequence[Contrast], study: Study, source: Resampled,
              points: Sequence[float]) -> list[SystemKey]:
    """The systems of the contrasts that with all data do not clear chance by CHANCE_MARGIN.

    Clear: the 95% interval of the mean sensitivity over the points lies above that of random scores
    by more than the margin.
    """
    run = next(run for run in study.runs if run.marks is not None)
    assert run.marks is not None and run.candidates is not None
    chance = np.mean([chance_sensitivity(run.marks, run.candidates, point) for point in points])
    columns = [source.points.index(point) for point in points]
    keys = dict.fromkeys(key for contrast in contrasts
                         for key in (*contrast.plus, *contrast.minus) if key[1] == 100)
    found = []
    for key in keys:
        try:
            low, _ = percentile_interval(source.draws[key][:, columns].mean(axis=1), source.groups)
        except LayerwiseError:
            low = -np.inf
        if not low > chance + CHANCE_MARGIN:
            found.append(key)
    return found
