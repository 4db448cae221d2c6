"""Layer-wise fine-tuning of AlexNet on medical images, with BVLC Caffe."""

__version__ = "0.1.0"
