# Every example by the name of its image. `pkgs` is nixpkgs with our overlay, or any set with the same names.
pkgs:
let
  composing = import ./composing.nix pkgs;
in
{
  bash = composing.layeredImage1;
  inherit (composing) bash-python bash-python-perl just-python merged;
  hello = import ./hello.nix pkgs;
  nginx = import ./nginx.nix pkgs;
  nonroot = import ./nonroot.nix pkgs;
  redis = import ./redis.nix pkgs;
}
