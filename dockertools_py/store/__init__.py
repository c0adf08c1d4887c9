"""Reading the Nix store, and producing layer bytes from it."""
