"""Container images from Nix closures: planned, described, produced."""

__version__ = "0.1.0"
