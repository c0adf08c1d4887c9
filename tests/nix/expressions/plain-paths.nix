# Folders of the repository, as paths.
{ pkgs, ... }:
pkgs.dockerTools.buildLayeredImage {
  name = "plain-paths";
  contents = [ ./plain-paths pkgs.busybox ];
  config.Cmd = [ "cat" "/etc/motd" ];
}
