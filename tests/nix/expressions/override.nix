# The same image for another purpose.
{ pkgs, ... }:
let
  image = pkgs.dockerTools.buildImage {
    name = "app";
    copyToRoot = [ pkgs.hello ];
    config.Cmd = [ "/bin/hello" ];
  };
in
image.override { name = "app-debug"; tag = "debug"; copyToRoot = [ pkgs.hello pkgs.busybox ]; }
