# The build environment of a package as an image.
{ pkgs, ... }:
pkgs.dockerTools.buildNixShellImage {
  drv = pkgs.runCommand "work" { nativeBuildInputs = [ pkgs.hello pkgs.gnused ]; } "hello | sed s/world/nix/ > $out";
  tag = "latest";
}
