"""`python3 -m layerwise` is the command line."""
from layerwise.cli import main

if __name__ == "__main__":
    main(prog_name="layerwise")
