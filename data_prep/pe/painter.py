"""Hounsfield units of an anatomy with emboli: a CT pulmonary angiogram."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from data_prep.pe.anatomy import ARTERY, LUNG, VEIN, Anatomy
from data_prep.pe.artefacts import add_noise, add_streaks, blur, lumen, move
from data_prep.pe.chest import Blood, draw_chest
from data_prep.pe.emboli import Embolus
from data_prep.pe.hounsfield import HU_RANGE
from data_prep.pe.raster import axes_mm, ellipsoid, paint_tubes, smooth_noise
from data_prep.pe.trees import ROOT, Tree
from data_prep.pe.volume import Volume

AIRWAY_AIR_HU, AIRWAY_WALL_HU = -980.0, 20.0
AIRWAY_OF_ARTERY_MM = (1.6, 5.5)    # radius of the arteries that a bronchus accompanies
NODE_RADII_MM, NODE_HU = (2.5, 6.0), (40.0, 75.0)
OPACITY_SHARE = 0.35                # of the patients have airless lung somewhere
CLEAR_OF_EMBOLI_MM = 25.0           # no flow artefact that close to an embolus
PARENCHYMA_GRAIN_MM = 2.5


@dataclass(frozen=True)
class Technique:
    """How a scan was made: HU of the blood, noise, blur, artefacts."""

    artery_hu: float
    vein_hu: float
    vena_cava_hu: float
    lung_hu: float
    noise_hu: float         # SD
    in_plane_mm: float      # Gaussian sigma of the blur
    across_mm: float
    streak_hu: float        # SD at the vena cava
    moved_slabs: int
    nodes: int
    artery_dips: int
    vein_dips: int


def draw_technique(rng: np.random.Generator) -> Technique:
    """A scan of usual quality; some of the worst and none of the best."""
    artery = rng.uniform(250, 450)
    return Technique(
        artery, artery * rng.uniform(0.55, 0.9), rng.uniform(350, 900), rng.uniform(-870, -830),
        rng.uniform(15, 28), rng.uniform(0.5, 0.75), rng.uniform(0.4, 0.7), rng.uniform(15, 55),
        int(rng.integers(0, 3)), int(rng.integers(3, 10)), int(rng.integers(0, 3)),
        int(rng.integers(1, 5)))


def paint(anatomy: Anatomy, emboli: list[Embolus], technique: Technique,
          rng: np.random.Generator) -> Volume:
    """The scan of an anatomy. Emboli replace the blood; blur, streaks and noise cover all alike."""
    shape, spacing = anatomy.labels.shape, anatomy.spacing_mm
    blood = Blood(technique.artery_hu, technique.vein_hu, 0.95 * technique.vein_hu,
                  technique.vena_cava_hu)
    chest = draw_chest(anatomy, blood, rng)
    hu = chest.hu
    hu += anatomy.lung * (_parenchyma(anatomy, technique, rng) - hu)
    _paint_airways(hu, anatomy)
    _paint_nodes(hu, anatomy, technique.nodes, rng)
    veins = lumen(shape, spacing, technique.vein_hu, _vein_dips(anatomy, technique, rng), rng)
    hu += anatomy.vein * (veins - hu)
    arteries = lumen(shape, spacing, technique.artery_hu,
                     _artery_dips(anatomy, emboli, technique, rng), rng)
    for embolus in emboli:
        _fill(arteries, anatomy, embolus)
    hu += anatomy.artery * (arteries - hu)
    hu = blur(hu, spacing, technique.in_plane_mm, technique.across_mm)
    move(hu, spacing, technique.moved_slabs, rng)
    add_streaks(hu, spacing, chest.vena_cava_mm, technique.streak_hu, rng)
    add_noise(hu, spacing, technique.noise_hu, rng)
    return Volume(np.rint(np.clip(hu, *HU_RANGE)).astype(np.int16), spacing)


def _parenchyma(anatomy: Anatomy, technique: Technique, rng: np.random.Generator) -> np.ndarray:
    """Air, with vessels below the resolution, denser at the back; airless at places."""
    shape, spacing = anatomy.labels.shape, anatomy.spacing_mm
    texture = smooth_noise(shape, spacing, PARENCHYMA_GRAIN_MM, rng)
    texture += np.float32(0.7) * texture * texture
    y = axes_mm(shape, spacing)[1]
    hu = np.float32(technique.lung_hu) + 65 * texture + 50 * (y / y.max() - np.float32(0.5))
    if rng.random() < OPACITY_SHARE:
        cloud = smooth_noise(shape, spacing, 35, rng) + (y / y.max() - np.float32(0.6))
        hu += np.clip(cloud - np.float32(0.8), 0, 1) * np.float32(rng.uniform(300, 1200))
    return np.minimum(hu, np.float32(30))


def _fill(blood: np.ndarray, anatomy: Anatomy, embolus: Embolus) -> None:
    """Put clot in place of blood, also where voxels of the wall are partly artery."""
    blood[tuple(embolus.voxels.T)] = embolus.hu
    low = np.maximum(embolus.voxels.min(axis=0) - 1, 0)
    where = tuple(slice(start, stop + 2) for start, stop in zip(low, embolus.voxels.max(axis=0)))
    clot = np.zeros(blood[where].shape, bool)
    clot[tuple((embolus.voxels - low).T)] = True
    wall = ndimage.binary_dilation(clot, np.ones((3, 3, 3))) & (anatomy.labels[where] != ARTERY)
    blood[where][wall] = embolus.hu


def _paint_airways(hu: np.ndarray, anatomy: Anatomy) -> None:
    """A bronchus beside every artery of some size, on the side of the midline."""
    line, spacing = anatomy.arteries, anatomy.spacing_mm
    low, high = AIRWAY_OF_ARTERY_MM
    middle = np.array(spacing) * np.array(hu.shape) / 2
    inward = middle - line.points_mm
    inward -= (inward * line.tangent).sum(axis=1)[:, None] * line.tangent
    size = np.linalg.norm(inward, axis=1)
    chosen = (line.radius_mm > low) & (line.radius_mm < high) & (size > 8)
    if not chosen.any():
        return
    radius = line.radius_mm[chosen]
    centre = line.points_mm[chosen] + inward[chosen] / size[chosen][:, None] \
        * (1.95 * radius)[:, None]
    for outer, value in ((0.9 * radius, AIRWAY_WALL_HU), (0.62 * radius, AIRWAY_AIR_HU)):
        share = np.zeros(hu.shape, np.float32)
        paint_tubes(share, Tree(centre, centre, outer, np.full(len(centre), ROOT)), spacing)
        share *= anatomy.labels == LUNG
        hu += share * (np.float32(value) - hu)


def _paint_nodes(hu: np.ndarray, anatomy: Anatomy, count: int, rng: np.random.Generator) -> None:
    """Lymph nodes that lie against arteries of at least lobar size."""
    line = anatomy.arteries
    sites = np.flatnonzero(line.radius_mm > 3)
    if not len(sites):
        return
    for site in rng.choice(sites, count):
        side = np.cross(line.tangent[site], rng.standard_normal(3))
        side /= np.linalg.norm(side)
        radii = rng.uniform(*NODE_RADII_MM) * rng.uniform(0.8, 1.4, 3)
        centre = line.points_mm[site] + side * (line.radius_mm[site] + 0.85 * radii.mean())
        value = np.float32(rng.uniform(*NODE_HU))
        found = ellipsoid(hu.shape, anatomy.spacing_mm, centre, radii)
        if found is not None:
            where, share = found
            hu[where] += share * (value - hu[where])


def _vein_dips(anatomy: Anatomy, technique: Technique, rng: np.random.Generator) -> np.ndarray:
    voxels = np.argwhere(anatomy.labels == VEIN)
    if not len(voxels):
        return np.zeros((0, 3))
    return np.asarray(voxels[rng.integers(0, len(voxels), technique.vein_dips)]
                      * np.array(anatomy.spacing_mm))


def _artery_dips(anatomy: Anatomy, emboli: list[Embolus], technique: Technique,
                 rng: np.random.Generator) -> np.ndarray:
    line = anatomy.arteries
    sites = line.points_mm[line.radius_mm > 2]
    if emboli and len(sites):
        clots = np.concatenate([embolus.voxels for embolus in emboli]) * anatomy.spacing_mm
        sites = sites[cKDTree(clots).query(sites)[0] > CLEAR_OF_EMBOLI_MM]
    return sites[rng.integers(0, len(sites), technique.artery_dips)] if len(sites) \
        else np.zeros((0, 3))
