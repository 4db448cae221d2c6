"""A simulated colonoscopy, for the phantoms of the polyp and the frame task: wall, lens, light."""
