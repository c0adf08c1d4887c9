# Users by fakeNss, and a home that belongs to one of them.
{ pkgs, ... }:
let
  uid = 1001;
  nss = pkgs.dockerTools.fakeNss.override {
    extraPasswdLines = [ "app:x:${toString uid}:${toString uid}:App:/home/app:/bin/sh" ];
    extraGroupLines = [ "app:x:${toString uid}:" ];
  };
in
pkgs.dockerTools.buildLayeredImage {
  name = "users";
  contents = [ nss pkgs.busybox ];
  fakeRootCommands = ''
    install -d -m 0700 -o ${toString uid} -g ${toString uid} home/app
  '';
  config = {
    User = "app";
    WorkingDir = "/home/app";
    Cmd = [ "/bin/sh" ];
  };
}
