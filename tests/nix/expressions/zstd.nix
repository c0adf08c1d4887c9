# Compressed otherwise, for another platform's name, with a name of capitals.
{ pkgs, ... }:
pkgs.dockerTools.buildImage {
  name = "Team/Zstd";
  copyToRoot = [ pkgs.hello ];
  compressor = "zstd";
  architecture = "arm64";
  config = { EntryPoint = [ "/bin/hello" ]; };
}
