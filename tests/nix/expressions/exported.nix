# The root file system of an image, for a container without Docker.
{ pkgs, ... }:
pkgs.dockerTools.exportImage {
  name = "root.tar";
  fromImage = pkgs.dockerTools.buildImage {
    name = "root";
    copyToRoot = pkgs.buildEnv { name = "root"; paths = [ pkgs.busybox ]; pathsToLink = [ "/bin" ]; };
  };
  diskSize = 1024;
}
