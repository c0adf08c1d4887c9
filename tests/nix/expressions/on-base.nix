# A base of tools, and an application on it.
{ pkgs, ... }:
let
  base = pkgs.dockerTools.buildLayeredImage {
    name = "base";
    contents = with pkgs; [ bash coreutils ];
    config.Env = [ "PATH=/bin" "LANG=C.UTF-8" ];
  };
in
pkgs.dockerTools.buildLayeredImage {
  name = "on-base";
  fromImage = base;
  contents = [ (pkgs.writeShellScriptBin "app" "echo on base") ];
  config = {
    Cmd = [ "/bin/app" ];
    Env = [ "LANG=en_US.UTF-8" "APP=1" ];
  };
}
