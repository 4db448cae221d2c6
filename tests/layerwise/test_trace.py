"""Runs that are tested on regions: what they leave, and tracing a user's own image with one."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cv2
import h5py
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from training import nothing, setting

from layerwise import blas, cost, handcrafted
from layerwise import trace as tracing
from layerwise.analysis.boundary_error import INTERFACES, errors_um, read_boundary_errors
from layerwise.analysis.boundary_figures import read_example
from layerwise.analysis.collect import collect
from layerwise.boundary import Lines, trace
from layerwise.child import Children
from layerwise.cli import main
from layerwise.contracts import read_cases, read_table
from layerwise.depths import DEPTHS
from layerwise.errors import InputError
from layerwise.forecast import profile_sizes
from layerwise.frozen import items_of, store_features, tail_of
from layerwise.launch import evaluate_run
from layerwise.plan import make_run
from layerwise.prepared import patches_in
from layerwise.regions import Region, margin_for, read_regions, write_regions
from layerwise.runs import is_scored
from layerwise.session import check
from layerwise.tasks import TASKS

ROWS, COLUMNS, SIDE, PIXEL_UM = 12, 16, 16, 50.0
MARGIN = margin_for(SIDE)
ROI = (30, 20, COLUMNS, ROWS)


def regions_of(folder):
    """A region for each test case, of noise."""
    rng = np.random.default_rng(8)
    size = (ROWS + 2 * MARGIN, COLUMNS + 2 * MARGIN)
    return [Region(case.case, case.group, rng.integers(0, 256, size, dtype=np.uint8),
                   np.stack([np.full(COLUMNS, 3.0), np.full(COLUMNS, 8.0)]), PIXEL_UM, MARGIN, SIDE)
            for case in read_cases(folder / "cases.csv") if case.split == "test"]


@pytest.fixture(scope="module")
def shared(narrow_table, forks, tmp_path_factory):
    """The setting of runs on a data set whose test set is regions."""
    root = tmp_path_factory.mktemp("root")
    weights = root / "random.caffemodel"
    tiny.write_weights(weights)
    data = tiny.write_prepared(root / "data" / "cimt" / "tiny")
    shutil.rmtree(data / "test")
    write_regions(data / "test" / "regions.h5", regions_of(data))
    return replace(setting(data, root / "runs", weights), task=TASKS["cimt"])


@pytest.fixture(scope="module")
def scored(shared):
    """Folder of a scored run that trains above stored activations, and the events it sent."""
    run, events = make_run(shared, DEPTHS["fc6"], 100, 7), []
    store_features(shared, [run], 1, Children(), nothing)
    tail = tail_of(shared, run)
    assert tail is not None
    folder = evaluate_run(shared, run, tail, Children(), lambda _, event: events.append(event))
    return folder, events


def test_a_run_leaves_lines_errors_and_maps_of_all_regions(shared, scored):
    folder, events = scored
    regions = read_regions(shared.prepared / "test" / "regions.h5")
    assert is_scored(folder) and not (folder / "scores.csv").exists()
    with h5py.File(str(folder / "confidence.h5"), "r") as archive:
        assert [name.decode() for name in archive["case"]] == [each.case for each in regions]
        assert archive["patch_um"][()].tolist() == [SIDE * PIXEL_UM] * len(regions)
        maps = [archive[f"maps/{number:06d}"][()] for number in range(len(regions))]
    assert all(each.shape == (3, ROWS, COLUMNS) for each in maps)
    lines = [trace(each) for each in maps]
    cases = read_cases(shared.prepared / "cases.csv")
    rows = read_boundary_errors(folder / "boundary.csv", cases)
    for number, interface in enumerate(INTERFACES):
        expected = {region.case: np.abs(each.rows[number] - region.truth[number]).mean() * PIXEL_UM
                    for region, each in zip(regions, lines)}
        assert errors_um(rows, interface) == pytest.approx(
            [expected[case] for case in sorted(expected)], rel=1e-5)
    table = read_table(folder / "lines.csv", ("case", "interface", "column", "row_px",
                                              "missing"))[1]
    assert len(table) == len(regions) * 2 * COLUMNS
    assert [float(row["row_px"]) for row in table[COLUMNS:2 * COLUMNS]] == pytest.approx(
        lines[0].rows[1], abs=1e-4)
    assert sum(event.get("patches", 0) for event in events) == len(regions) * ROWS * COLUMNS


def test_the_example_is_the_region_with_the_median_error(shared, scored):
    folder, _ = scored
    example = read_example(folder / "example.npz")
    regions = {each.case: each for each in read_regions(shared.prepared / "test" / "regions.h5")}
    totals = {}
    for row in read_table(folder / "boundary.csv")[1]:
        totals[row["case"]] = totals.get(row["case"], 0.0) + float(row["error_um"])
    middle = sorted(totals, key=lambda case: totals[case])[(len(totals) - 1) // 2]
    assert np.array_equal(example.roi, regions[middle].roi)
    assert np.array_equal(example.truth, regions[middle].truth)


def test_the_statistics_find_it(scored, shared):
    study, = collect([shared.runs])
    assert [run.init for run in study.runs] == ["fc6"] and study.missing == ()
    assert len(study.runs[0].boundary) == 2 * sum(case.split == "test" for case in study.cases)


def test_regions_that_are_not_the_test_cases_are_refused(shared, scored, tmp_path):
    path = shared.prepared / "test" / "regions.h5"
    kept = path.read_bytes()
    write_regions(path, regions_of(shared.prepared)[1:])
    try:
        run = make_run(replace(shared, runs=tmp_path), DEPTHS["fc8"], 100, 7)
        with pytest.raises(InputError, match="other regions than the test cases"):
            evaluate_run(replace(shared, runs=tmp_path), run, None, Children(), nothing)
    finally:
        path.write_bytes(kept)
    folder = run.folder(tmp_path)
    assert not is_scored(folder) and not (folder / "confidence.h5").exists()


def test_cost_and_stored_activations_know_regions(shared):
    run = make_run(shared, DEPTHS["fc6"], 100, 7)
    pixels = patches_in(shared.prepared / "test")
    assert pixels == 6 * ROWS * COLUMNS
    sizes = cost.set_sizes(shared.prepared, [run])
    assert sizes == {"train-100": 12, "validation-100": 5, "test": pixels}
    assert {item.name for item in items_of([run], sizes)} == {"train-100", "validation-100"}
    with_patches = replace(run, task="polyp")
    assert {item.name for item in items_of([with_patches], sizes)} >= {"test"}
    dense, single = (cost.cost_of(one, sizes, set()).patch for one in (run, with_patches))
    assert dense < single / 5


def test_the_plan_counts_the_pixels_of_the_phantoms_regions(tmp_path):
    options = {name: None for name in ("iterations", "batch_size", "evaluate_every", "patience",
                                       "gpu", "images", "weights", "mean", "threads", "jobs",
                                       "negative", "upright")}
    wanted = check("cimt", ["fc8"], [100], [1], {
        **options, "profile": "mini", "test_fraction": 0.5, "cache_gb": 1.0})
    size = wanted.profile.sizes["cimt"]
    assert profile_sizes(wanted)["test"] == \
        size.phantom_groups * size.phantom_cases // 2 * 92 * 60


def test_the_handcrafted_system_leaves_the_same_tables(shared, monkeypatch):
    rows = np.stack([np.full(COLUMNS, 4.0), np.full(COLUMNS, 8.0)])
    lines = Lines(rows.astype(int), rows, np.zeros(rows.shape, bool))

    class System:
        @staticmethod
        def traces(dataset, fraction, seed):
            assert (dataset, fraction, seed) == (shared.prepared, 100, 7)
            return [lines] * 6

    monkeypatch.setattr(handcrafted, "import_module", lambda name: System)
    folder = handcrafted.evaluate_handcrafted(
        shared, handcrafted.handcrafted_run(shared, 100, 7))
    table = read_table(folder / "boundary.csv")[1]
    assert {(row["interface"], float(row["error_um"])) for row in table} == {
        ("lumen_intima", PIXEL_UM), ("media_adventitia", 0.0)}
    shutil.rmtree(folder)


@pytest.fixture()
def image(tmp_path):
    path = tmp_path / "far_wall.png"
    noise = np.random.default_rng(2).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


@pytest.fixture()
def measure(shared, image, tmp_path, monkeypatch):
    """`layerwise trace` on the image with the given options."""
    monkeypatch.setattr(blas, "choose",
                        lambda threads: blas.BlasChoice(None, 1, None, False, ""))

    def run(*options):
        return CliRunner().invoke(main, [
            "trace", str(image), "--roi", ",".join(map(str, ROI)), "--out", str(tmp_path / "out"),
            "--runs", str(shared.runs), *options])
    return run


def test_trace_measures_draws_and_writes(scored, measure, tmp_path):
    done = measure("--pixel-size", "50")
    assert done.exit_code == 0, done.output
    assert "noise (stand-in)" in done.output
    out = tmp_path / "out"
    lines = read_table(out / "far_wall-lines.csv")[1]
    assert [int(row["column"]) for row in lines[:COLUMNS]] == list(range(30, 30 + COLUMNS))
    rows = np.array([float(row["row_px"]) for row in lines]).reshape(2, COLUMNS)
    gaps = np.array([int(row["missing"]) for row in lines]).reshape(2, COLUMNS).any(axis=0)
    assert ((rows >= 20) & (rows <= 20 + ROWS - 1)).all()
    summary, = read_table(out / "far_wall-thickness.csv")[1]
    assert summary["trained_on"] == "noise" and int(summary["missing"]) == gaps.sum()
    if not gaps.all():
        thickness = (rows[1] - rows[0])[~gaps].mean() * 50
        assert float(summary["thickness_um"]) == pytest.approx(thickness, abs=0.1)
        assert f"{thickness:.0f} um" in done.output
    picture = cv2.imread(str(out / "far_wall-lines.png"))
    for colour in tracing.COLOURS:
        assert (np.abs(picture.astype(int) - colour).sum(axis=2) < 60).any()


@pytest.mark.parametrize("options, message", [
    ([], "give --pixel-size"),
    (["--pixel-size", "0.05"], "in micrometres, 5 to 1000"),
    (["--pixel-size", "5", "--roi", "80,20,16,12"], "reaches outside the frame of 90x60"),
    (["--pixel-size", "50", "--roi", "1,2,3"], "is not X,Y,W,H"),
    (["--pixel-size", "50", "--run", "nowhere"], "nowhere/best.caffemodel: no such file"),
    (["--pixel-size", "50", "--runs", "nowhere"], "nowhere: no scored network for cimt"),
])
def test_what_is_wrong_is_one_line(scored, measure, tmp_path, options, message):
    done = measure(*options)
    assert done.exit_code == 2
    assert message in done.output and done.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def write_scored(root, dataset, name, auc):
    """A scored run as far as choosing goes; without an AUC it has no network."""
    folder = root / "cimt" / dataset / name / "100" / "1"
    folder.mkdir(parents=True)
    (folder / "boundary.csv").touch()
    if auc:
        (folder / "best.caffemodel").touch()
        (folder / "result.json").write_text(json.dumps({"best_auc": auc}))


def test_the_best_run_is_the_one_with_the_highest_validation_auc(tmp_path):
    for name, auc in (("fc8", 0.7), ("conv1", 0.9), ("conv2", 0.8), ("handcrafted", None)):
        write_scored(tmp_path, "d", name, auc)
    assert tracing.best_run(tmp_path).parts[-3] == "conv1"
    write_scored(tmp_path, "other", "conv1", 0.95)
    with pytest.raises(InputError, match=r"several data sets \(d, other\); name a run by --run"):
        tracing.best_run(tmp_path)


def test_patches_keep_their_physical_size(scored, measure, monkeypatch):
    """Of an image with pixels of half the size, patches have twice as many pixels."""
    asked = []
    real = Children.run

    def spy(self, arguments, *rest):
        asked.append(json.loads(arguments[1])["side_px"])
        real(self, arguments, *rest)

    monkeypatch.setattr(Children, "run", spy)
    for pixel_um in ("50", "25"):
        assert measure("--pixel-size", pixel_um).exit_code == 0
    assert asked == [SIDE, 2 * SIDE]
