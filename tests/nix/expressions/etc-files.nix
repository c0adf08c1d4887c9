# Files of configuration beside the program.
{ pkgs, ... }:
let
  conf = pkgs.writeTextDir "etc/app/config.toml" ''
    listen = "0.0.0.0:80"
  '';
  hosts = pkgs.writeTextFile { name = "hosts"; text = "127.0.0.1 localhost\n"; destination = "/etc/hosts"; };
in
pkgs.dockerTools.buildImage {
  name = "etc-files";
  copyToRoot = [ conf hosts pkgs.busybox ];
  extraCommands = "chmod u+w etc/app; echo 'debug = true' >> etc/app/config.toml";
  config.Cmd = [ "/bin/sh" "-c" "cat /etc/app/config.toml" ];
}
