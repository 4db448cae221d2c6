"""Speed against plain Caffe and PyTorch, on the machine at hand: `python3 -m layerwise.bench`."""
