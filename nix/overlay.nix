# An overlay for nixpkgs: `pkgs.dockerTools` becomes ours.
#
#   import <nixpkgs> { overlays = [ (import ./nix/overlay.nix) ]; }
final: prev: {
  dockerTools = import ./internal/fromPackages.nix final;
}
