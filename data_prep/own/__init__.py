"""Your own labelled images: any classes, any size, grey or colour, DICOM too."""
