# The first example of every tutorial.
{ pkgs ? import <nixpkgs> { } }:
pkgs.dockerTools.buildImage {
  name = "hello";
  tag = "latest";
  copyToRoot = pkgs.buildEnv {
    name = "image-root";
    paths = [ pkgs.hello ];
    pathsToLink = [ "/bin" ];
  };
  config.Cmd = [ "/bin/hello" ];
}
