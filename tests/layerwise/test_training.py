"""Real Caffe trainings of seconds: the loop, its state, its scores, and how it fails.

The fully connected layers are cut from 4096 to 32 units, so that a snapshot has 11 MB, not 228;
the layers, their order and their names are Table I's.
"""
from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import tiny
from killing import forked_workers
from training import ONE_THREAD, PROFILE, blobs, content, setting, train_at

from layerwise import alexnet, child, kept, prefix
from layerwise import sweep as sweep_module
from layerwise.child import Children, Interrupted
from layerwise.contracts import read_scores, read_table
from layerwise.depths import DEPTHS
from layerwise.errors import InputError, LayerwiseError
from layerwise.frozen import store_features
from layerwise.handcrafted import handcrafted_run
from layerwise.launch import evaluate_run, train_run
from layerwise.plan import Setting, make_run
from layerwise.runs import locked, read_json
from layerwise.sweep import sweep

pytestmark = pytest.mark.usefixtures("small_table")

@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory):
    shared = setting(prepared, tmp_path_factory.mktemp("runs"))
    return train_at("scratch-gaussian", shared, verb=evaluate_run)


def test_a_run_leaves_what_the_contract_says(uninterrupted):
    names = {path.name for path in uninterrupted.iterdir()}
    assert names == {"config.json", "train_val.prototxt", "deploy.prototxt", "solver.prototxt",
                     "log.csv", "best.caffemodel", "result.json", "caffe.log", "patches.h5",
                     "scores.csv", ".lock"}
    log = read_table(uninterrupted / "log.csv")[1]
    assert [line["iteration"] for line in log] == list("0123456")
    assert [bool(line["validation_auc"]) for line in log] == [
        True, False, True, False, True, False, True]
    # 12 images, batch 4: three iterations per epoch, then the rate falls by 5%.
    assert [float(line["lr"]) for line in log[1:]] == pytest.approx(
        [.001, .001, .001, .00095, .00095, .00095])


def test_scores_are_mean_probabilities(uninterrupted):
    import h5py

    scores, classes = read_scores(uninterrupted / "scores.csv")
    with h5py.File(str(uninterrupted / "patches.h5"), "r") as archive:
        probabilities = archive["probability"][()]
    assert classes == ["background", "polyp"]
    assert [row.candidate for row in scores] == [f"test-{n}-c" for n in range(6)]
    assert np.array([row.probabilities for row in scores]) == pytest.approx(probabilities, abs=1e-8)


@pytest.mark.parametrize("ratio, compared", [(0.5, 1), (1e-30, 4)])
def test_same_losses_as_caffe_train(prepared, tmp_path, monkeypatch, ratio, compared):
    """Caffe's own command line in the run folder; its log prints six digits.

    From the second iteration on our loop reseeds the dropout, so beyond the first loss the two are
    compared with a dropout ratio that drops nothing.
    """
    shared = setting(prepared, tmp_path, iterations=4, evaluate_every=4)
    monkeypatch.setattr(alexnet, "DROPOUT", ratio)
    folder = train_at("scratch-gaussian", shared)
    ours = [float(line["loss"]) for line in read_table(folder / "log.csv")[1][1:]]
    solver = (folder / "solver.prototxt").read_text()
    solver = re.sub("display: 20", "display: 1", solver).replace("average_loss: 20", "")
    (folder / "caffe.prototxt").write_text(solver.replace('"state"', '"caffe"'))
    done = subprocess.run(["caffe", "train", "--solver=caffe.prototxt"], cwd=folder,
                          stderr=subprocess.PIPE, text=True,
                          env={"PATH": "/usr/bin:/bin", **ONE_THREAD})
    theirs = [float(value) for value in re.findall(r"Iteration \d+ .*, loss = (\S+)", done.stderr)]
    assert theirs[:compared] == pytest.approx(ours[:compared], rel=1e-5)


def test_only_layers_from_the_first_tuned_one_move(prepared, source_weights, tmp_path):
    folder = train_at("conv4", setting(prepared, tmp_path, source_weights, iterations=5,
                                       evaluate_every=5))
    before, after = blobs(source_weights), blobs(folder / "best.caffemodel")
    for layer in ("conv1", "conv2", "conv3"):
        assert all(map(np.array_equal, before[layer], after[layer]))
    for layer in ("conv4", "conv5", "fc6", "fc7"):
        assert not any(map(np.array_equal, before[layer], after[layer]))


def test_fc7_is_the_source_networks_before_training(prepared, source_weights, tmp_path):
    """Our deploy net and a 1000-way net that Caffe fills from the same file agree on fc7."""
    import caffe

    from layerwise.generate import text_of

    activations = []
    for last, classes in (("fc8_polyp", 2), ("fc8", 1000)):
        path = tmp_path / f"{last}.prototxt"
        path.write_text(text_of(alexnet.deploy("n", last, classes, 2)))
        net = caffe.Net(str(path), caffe.TEST, weights=str(source_weights))
        net.blobs["data"].data[...] = np.random.default_rng(1).normal(0, 50, (2, 3, 227, 227))
        net.forward()
        activations.append(net.blobs["fc7"].data.copy())
    assert activations[0].any()
    assert np.array_equal(*activations)


class Killed(Exception):
    """Raised while an event is handled: the child is killed by SIGKILL."""


def kill_at(iteration: int, depth: str, shared: Setting) -> None:
    def kill(run, event):
        if event.get("iteration") == iteration:
            raise Killed
    with pytest.raises(Killed):
        train_at(depth, shared, kill)


@pytest.mark.parametrize("depth", prefix.BOUNDARIES)
def test_stored_prefix_gives_the_same_trajectory(prepared, source_weights, tmp_path, monkeypatch,
                                                 depth):
    """Losses, AUCs, scores and weights of the tail equal those of the whole network to the bit."""
    monkeypatch.setattr(child, "subprocess", forked_workers())
    plain = setting(prepared, tmp_path / "plain", source_weights)
    whole = evaluate_run(plain, make_run(plain, DEPTHS[depth], 100, 7), None, Children(),
                         lambda run, event: None)
    shared = setting(prepared, tmp_path / "tail", source_weights)
    store_features(shared, [make_run(shared, DEPTHS[depth], 100, 7)], 2, Children(),
                   lambda done, total: None)
    kill_at(3, depth, shared)
    tail = train_at(depth, shared, verb=evaluate_run)
    assert read_json(tail / "result.json")["stored_prefix"] == prefix.BOUNDARIES[depth]
    assert read_json(whole / "result.json")["stored_prefix"] is None
    ours, theirs = content(tail), content(whole)
    assert ours["log"] == theirs["log"] and ours["scores"] == theirs["scores"]
    ours, theirs = blobs(tail / "best.caffemodel"), blobs(whole / "best.caffemodel")
    assert ours.keys() == theirs.keys()
    for layer in ours:
        assert all(map(np.array_equal, ours[layer], theirs[layer])), layer


def test_killed_runs_resume_to_the_same_bits(prepared, uninterrupted, tmp_path):
    shared = setting(prepared, tmp_path)
    for fatal in (1, 3, 5):
        kill_at(fatal, "scratch-gaussian", shared)
    folder = train_at("scratch-gaussian", shared, verb=evaluate_run)
    assert content(folder) == content(uninterrupted)


@pytest.mark.parametrize("depth", ["scratch-gaussian", "fc6"])
def test_a_killed_scoring_goes_on_after_its_last_part(prepared, source_weights, tmp_path,
                                                      monkeypatch, depth):
    """70 test patches in batches of 32 and parts of 32: killed after two, six are left."""
    monkeypatch.setattr(child, "subprocess", forked_workers())
    monkeypatch.setattr(kept, "PART_PATCHES", 32)
    data = tiny.write_prepared(tmp_path / "polyp" / "tiny", test=70)
    whole = train_at(depth, setting(data, tmp_path / "whole", source_weights), verb=evaluate_run)
    shared = setting(data, tmp_path / "killed", source_weights)
    if depth == "fc6":
        store_features(shared, [make_run(shared, DEPTHS[depth], 100, 7)], 1, Children(),
                       lambda done, total: None)
    folder, counts = train_at(depth, shared), []

    def kill(run, event):
        counts.append(event.get("patches", 0))
        if sum(counts) == 64:
            raise Killed
    with pytest.raises(Killed):
        train_at(depth, shared, kill, verb=evaluate_run)
    parts = sorted(folder.glob("scoring-*/*.npz"))
    assert [path.name for path in parts] == ["000000.npz", "000001.npz"]
    stale = folder / "scoring-of-another-network"
    shutil.copytree(parts[0].parent, stale)
    counts.clear()
    train_at(depth, shared, lambda run, event: counts.append(event.get("patches", 0)),
             verb=evaluate_run)
    assert [count for count in counts if count] == [64, 6]
    assert content(folder)["scores"] == content(whole)["scores"]
    assert not list(folder.glob("scoring-*"))


def test_an_unreadable_part_is_named(tmp_path):
    (tmp_path / "000000.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="000000.npz: unreadable .*; delete "):
        kept.Kept(tmp_path)


def test_asked_to_stop_it_finishes_the_iteration_and_resumes(prepared, uninterrupted, tmp_path):
    shared, children = setting(prepared, tmp_path), Children()
    run = make_run(shared, DEPTHS["scratch-gaussian"], 100, 7)

    def stop(run, event):
        if event.get("iteration") == 1:
            children.stop()
    with pytest.raises(Interrupted):
        train_run(shared, run, None, children, stop)
    assert read_json(run.folder(tmp_path) / "state.json")["iteration"] >= 1
    assert not (run.folder(tmp_path) / "result.json").exists()
    folder = evaluate_run(shared, run, None, Children(), lambda run, event: None)
    assert content(folder) == content(uninterrupted)


def test_a_set_that_is_no_multiple_of_the_batch_resumes_to_the_same_bits(tmp_path):
    """10 images, batch 4: the Data layer's place repeats after five iterations."""
    data = tiny.write_prepared(tmp_path / "polyp" / "tiny", train=10)
    whole = train_at("scratch-gaussian", setting(data, tmp_path / "whole"), verb=evaluate_run)
    shared = setting(data, tmp_path / "killed")
    kill_at(5, "scratch-gaussian", shared)
    assert content(train_at("scratch-gaussian", shared, verb=evaluate_run)) == content(whole)


def test_moved_folders_resume_to_the_same_bits(prepared, source_weights, tmp_path):
    """Data, stored activations and run folder all get another path after a kill, with blanks."""
    whole = train_at("fc6", setting(prepared, tmp_path / "whole", source_weights),
                     verb=evaluate_run)
    data = shutil.copytree(prepared, tmp_path / "he re" / "polyp" / "tiny")
    shared = setting(data, tmp_path / "he re" / "runs", source_weights)
    store_features(shared, [make_run(shared, DEPTHS["fc6"], 100, 7)], 1, Children(),
                   lambda done, total: None)
    kill_at(3, "fc6", shared)
    (tmp_path / "he re").rename(tmp_path / "the re")
    shared = setting(tmp_path / "the re" / "polyp" / "tiny", tmp_path / "the re" / "runs",
                     source_weights)
    folder = train_at("fc6", shared)
    assert read_json(folder / "result.json")["stored_prefix"] == "pool5"
    shutil.rmtree(shared.prepared / "features")         # the whole network scores instead
    assert content(train_at("fc6", shared, verb=evaluate_run))["scores"] == content(whole)["scores"]


def test_resuming_in_another_environment_is_recorded(prepared, tmp_path):
    shared = setting(prepared, tmp_path)
    kill_at(3, "scratch-gaussian", shared)
    folder = train_at("scratch-gaussian", replace(shared, blas={**ONE_THREAD, "X": "1"}),
                      verb=evaluate_run)
    config = read_json(folder / "config.json")
    assert config["environment"]["blas"] == ONE_THREAD
    assert [entry["blas"]["X"] for entry in config["resumed"]] == ["1"]
    train_at("scratch-gaussian", replace(shared, blas={**ONE_THREAD, "X": "2"}))
    assert read_json(folder / "config.json") == config


def test_patience_ends_a_run_without_a_new_best(prepared, tmp_path):
    """The noise images differ in brightness, so the AUC is 1 at once and never improves."""
    folder = train_at("scratch-gaussian", setting(prepared, tmp_path, iterations=40,
                                                  evaluate_every=1, patience=2))
    result = read_json(folder / "result.json")
    assert (result["ended_by"], result["best_iteration"]) == ("patience", 1)
    assert result["iterations"] == 3


@pytest.mark.parametrize("scale", [300.0, 1.5])
def test_divergence_is_reported_with_advice(prepared, tmp_path, scale):
    """At 300 times the scale at once; at 1.5 times the net soon gives every image one answer."""
    tiny.write_weights(tmp_path / "huge.caffemodel", scale)
    shared = setting(prepared, tmp_path / "runs", tmp_path / "huge.caffemodel", iterations=40)
    with pytest.raises(LayerwiseError, match=r"diverged at iteration \d+ .*Check the scale"):
        train_at("conv1", shared)
    last = read_table(next((tmp_path / "runs").rglob("log.csv")))[1][-1]
    assert not float(last["loss"]) < 87 or last["validation_auc"] == "nan"


def test_a_dying_caffe_is_quoted(prepared, tmp_path):
    shared = setting(prepared, tmp_path)
    folder = train_at("scratch-gaussian", replace(shared, profile=replace(
        PROFILE, iterations=1, evaluate_every=1)))
    (folder / "result.json").unlink()
    (folder / "solver.prototxt").write_text("net: 3 (")
    with pytest.raises(LayerwiseError) as caught:
        Children().run(["train", str(folder)], ONE_THREAD, folder / "caffe.log",
                       lambda event: None, folder)
    assert "SIGABRT" in str(caught.value) and "Failed to parse" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_corrupt_or_short_lmdb_is_an_input_error(prepared, tmp_path):
    broken = tmp_path / "polyp" / "tiny"
    shutil.copytree(prepared, broken)
    index = broken / "train-100" / "index.csv"
    index.write_text("".join(index.read_text().splitlines(True)[:-1]))
    with pytest.raises(InputError, match="12 images in the LMDB, 11 rows in index.csv"):
        train_at("scratch-gaussian", setting(broken, tmp_path / "runs"))
    (broken / "train-100" / "lmdb" / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="corrupt LMDB"):
        train_at("scratch-gaussian", setting(broken, tmp_path / "runs2"))


def test_other_settings_in_the_same_folder_are_refused(prepared, uninterrupted):
    shared = setting(prepared, uninterrupted.parents[4], iterations=9)
    with pytest.raises(InputError, match="holds a run with iterations=6, now 9"):
        train_at("scratch-gaussian", shared)


def test_a_full_disk_is_said_before_training(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 10**6))
    with pytest.raises(InputError, match=r"disk full, 0\.\d\d GB needed but 0\.00 GB free"):
        train_at("scratch-gaussian", setting(prepared, tmp_path))
    assert not list(tmp_path.rglob("*.prototxt"))


def test_a_folder_in_use_is_refused(prepared, uninterrupted):
    shared = setting(prepared, uninterrupted.parents[4])
    with locked(uninterrupted), pytest.raises(InputError, match="another process is working"):
        train_at("scratch-gaussian", shared)


def test_a_failed_run_does_not_stop_the_others(prepared, tmp_path):
    tiny.write_weights(tmp_path / "huge.caffemodel", scale=300.0)
    shared = setting(prepared, tmp_path / "runs", tmp_path / "huge.caffemodel", iterations=2)
    runs = [make_run(shared, DEPTHS[name], 100, 7) for name in ("conv1", "scratch-gaussian")]
    outcomes = sweep(shared, runs, 1, Children(), lambda run, event: None)
    assert ["diverged" in outcome.error for outcome in outcomes] == [True, False]
    assert (runs[1].folder(tmp_path / "runs") / "scores.csv").exists()


def test_an_unforeseen_failure_does_not_stop_the_others(prepared, tmp_path):
    def score_run(setting, run, children, on_event):
        if run.init == "scratch-xavier":
            raise ValueError("nobody thought of this")
    shared = setting(prepared, tmp_path / "runs")
    runs = [make_run(shared, DEPTHS[name], 100, 7)
            for name in ("scratch-xavier", "scratch-gaussian")]
    failed, well = sweep(shared, runs, 2, Children(), lambda run, event: None, score_run)
    log = runs[0].folder(tmp_path / "runs") / "error.log"
    assert failed.error == f"ValueError: nobody thought of this (see {log})"
    assert "in score_run" in log.read_text()
    assert well.error == ""


def test_a_stopped_sweep_begins_no_handcrafted_run(prepared, tmp_path, monkeypatch):
    """It has no child process that would be told to stop."""
    shared, children, begun = setting(prepared, tmp_path), Children(), []

    def evaluate(setting, run):
        begun.append(run.seed)
        children.stop()
    monkeypatch.setattr(sweep_module, "evaluate_handcrafted", evaluate)
    with pytest.raises(Interrupted):
        sweep(shared, [handcrafted_run(shared, 100, seed) for seed in (1, 2)], 1, children,
              lambda run, event: None)
    assert begun == [1]
