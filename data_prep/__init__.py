"""Medicine and images: readers, phantoms, candidates and patches, packed for Caffe."""
