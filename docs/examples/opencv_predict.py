#!/usr/bin/env python3
"""Probabilities of images by a network that `layerwise export` wrote, with OpenCV alone.

    python3 docs/examples/opencv_predict.py MODEL IMAGE...

Needs opencv-python and NumPy, neither Caffe nor this project. One view of each image: all of it,
stretched to 227x227. `layerwise predict` averages several views.
"""
import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np

SIDE = 227


def probabilities(net, mean_bgr, patch):
    """Class probabilities of a 227x227 BGR patch, uint8."""
    blob = patch.astype(np.float32) - np.float32(mean_bgr)          # 0..255, less the mean
    net.setInput(np.ascontiguousarray(blob.transpose(2, 0, 1)[np.newaxis]))
    return net.forward("prob").ravel()


def main():
    model, images = Path(sys.argv[1]), sys.argv[2:]
    facts = json.loads((model / "model.json").read_text())
    net = cv2.dnn.readNetFromCaffe(str(model / "deploy.prototxt"), str(model / "model.caffemodel"))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", *(f"p_{name}" for name in facts["classes"])])
    for name in images:
        image = cv2.imread(name, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            sys.exit(f"{name}: no image that OpenCV reads")
        patch = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        found = probabilities(net, facts["mean_bgr"], patch)
        writer.writerow([name, *(f"{value:.6g}" for value in found)])


if __name__ == "__main__":
    main()
