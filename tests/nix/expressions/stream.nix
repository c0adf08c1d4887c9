# For `$(nix-build) | docker load`.
{ pkgs ? import <nixpkgs> { }, tag ? "dev" }:
pkgs.dockerTools.streamLayeredImage {
  name = "tools";
  inherit tag;
  contents = with pkgs; [ bashInteractive coreutils gnugrep ];
  config.Cmd = [ "/bin/bash" ];
}
