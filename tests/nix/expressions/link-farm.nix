# Data of several packages at places of one's choice.
{ pkgs, lib, ... }:
pkgs.dockerTools.buildLayeredImage {
  name = "link-farm";
  contents = [
    (pkgs.linkFarm "data" [
      { name = "srv/hello"; path = "${pkgs.hello}/bin/hello"; }
      { name = "srv/zone"; path = pkgs.writeText "zone" "UTC\n"; }
    ])
  ];
  config = {
    Cmd = [ "/srv/hello" ];
    Env = lib.mapAttrsToList (name: value: "${name}=${value}") { TZ = "UTC"; DATA = "/srv"; };
    Healthcheck = { Test = [ "CMD" "/srv/hello" ]; Interval = 30000000000; };
  };
}
