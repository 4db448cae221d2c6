"""The polyp task: colonoscopy frames, a phantom of them, and candidates with boxes."""
