"""A prepared data set of a few images, built in a second: for tests that train real Caffe."""
from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np

from layerwise.alexnet import parameter_shapes
from layerwise.contracts import BoxCandidate, Case, IndexRow, write_rows
from layerwise.runs import write_json


def write_set(folder: Path, labels: list[int], cases: list[str], seed: int) -> None:
    """An LMDB of noise whose red channel is brighter for label 1, with its index."""
    from caffe.proto import caffe_pb2

    rng = np.random.default_rng(seed)
    (folder / "lmdb").mkdir(parents=True)
    rows = []
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 28) as env, env.begin(write=True) as txn:
        for number, (label, case) in enumerate(zip(labels, cases)):
            image = rng.integers(0, 200, (3, 227, 227)).astype(np.uint8)
            image[2] += np.uint8(40 * label)
            datum = caffe_pb2.Datum(channels=3, height=227, width=227, label=label,
                                    data=image.tobytes())
            key = f"{number:08d}"
            txn.put(key.encode(), datum.SerializeToString())
            rows.append(IndexRow(key, case, f"g-{case}", f"{case}-c", "plain", label))
    write_rows(folder / "index.csv", rows, IndexRow)


def write_prepared(folder: Path, train: int = 12, validation: int = 5, test: int = 6) -> Path:
    """A prepared data folder with sets of the given sizes; labels alternate."""
    for offset, (name, size) in enumerate((("train-100", train), ("validation-100", validation),
                                           ("test", test))):
        labels = [number % 2 for number in range(size)]
        write_set(folder / name, labels, [f"{name}-{number}" for number in range(size)], offset)
    cases = [Case(f"test-{number}", f"g-test-{number}", "test", number % 2)
             for number in range(test)]
    cases += [Case(f"train-100-{number}", f"g-train-100-{number}", "train", number % 2)
              for number in range(train)]
    write_rows(folder / "cases.csv", cases, Case)
    write_rows(folder / "candidates.csv", [
        BoxCandidate(case.case, case.group, f"{case.case}-c",
                     f"{case.case}:1" if case.lesions else "", case.lesions,
                     0.0, 0.0, 10.0, 10.0, 0.5) for case in cases], BoxCandidate)
    write_json(folder / "source.json", {"dataset": folder.name, "stand_in": "noise",
                                        "sets": {name: {"content_sha256": name} for name in
                                                 ("train-100", "validation-100", "test")},
                                        "sha256": {"cases.csv": "0", "candidates.csv": "1"}})
    return folder


def write_weights(path: Path, scale: float = 1.0) -> None:
    """A caffemodel of Table I's shapes: He-initialised times `scale`, fc8 with 1000 outputs."""
    from caffe.proto import caffe_pb2

    rng = np.random.default_rng(5)
    net = caffe_pb2.NetParameter(name="random")
    for name, (weight, bias) in parameter_shapes(1000).items():
        layer = net.layer.add(name=name, type="Convolution" if "conv" in name else "InnerProduct")
        spread = scale * np.sqrt(2 / np.prod(weight[1:])) * (0.003 if name == "conv1" else 1.0)
        for shape, values in ((weight, spread * rng.standard_normal(weight, np.float32)),
                              (bias, np.zeros(bias, np.float32))):
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.extend(values.ravel().tolist())
    path.write_bytes(net.SerializeToString())
