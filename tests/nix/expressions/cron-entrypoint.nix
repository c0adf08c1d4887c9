# An entry point written inline, with packages in its PATH.
{ pkgs, lib, ... }:
let
  entrypoint = pkgs.writeShellScript "entrypoint" ''
    export PATH=${lib.makeBinPath (with pkgs; [ coreutils gnused findutils ])}
    exec "$@"
  '';
in
pkgs.dockerTools.buildLayeredImage {
  name = "entrypoint";
  contents = with pkgs.dockerTools; [ usrBinEnv binSh caCertificates fakeNss ];
  config = {
    Entrypoint = [ entrypoint ];
    Cmd = [ "date" ];
    StopSignal = "SIGINT";
  };
}
