# dockertools_py: the functions, the package set in use, and every example by its name.
#
#   nix-build -A bash-python && docker load < result
#   import ./. { inherit pkgs; }
{ pkgs ? import ./nix/internal/packageSet.nix }:
let
  dockerTools = import ./nix/internal/fromPackages.nix pkgs;
  withOurs = pkgs // { inherit dockerTools; };
in
{ inherit dockerTools; pkgs = withOurs; } // import ./examples withOurs
