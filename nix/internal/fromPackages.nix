# The functions for a whole package set, as default.nix, the overlay and the flake want them: what they need is taken from
# `pkgs`, as far as it is there.
pkgs:
let
  tools = [ "coreutils" "gnused" "gnugrep" "findutils" "gawk" "gnutar" "gzip" "diffutils" ];
in
import ../. {
  inherit (pkgs) python3 bash coreutils;
  zstd = pkgs.zstd or null;
  cacert = pkgs.cacert or null;
  shadow = pkgs.shadow or null;
  scriptPath = map (name: pkgs.${name}) (builtins.filter (name: pkgs ? ${name}) tools);
}
