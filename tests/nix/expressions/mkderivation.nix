# A package of one's own in front of it.
{ pkgs ? import <nixpkgs> { } }:
let
  app = pkgs.stdenv.mkDerivation {
    pname = "app";
    version = "0.1";
    src = ./plain-paths;
    buildPhase = "tr a-z A-Z < etc/motd > loud";
    installPhase = ''
      mkdir -p $out/bin $out/share
      cp loud $out/share/motd
      printf '#!%s\ncat %s\n' ${pkgs.bash}/bin/bash $out/share/motd > $out/bin/app
      chmod +x $out/bin/app
    '';
    meta.mainProgram = "app";
  };
in
pkgs.dockerTools.buildLayeredImage {
  name = app.pname;
  tag = app.version;
  config.Cmd = [ (pkgs.lib.getExe app) ];
  config.Env = [ "PATH=${pkgs.lib.makeBinPath [ pkgs.coreutils ]}" ];
}
