"""One file a derivation of ours: what `nix/internal/runBuilder.nix` asks this program to build."""
