# No contents: what `config` mentions is enough.
{ pkgs, ... }:
pkgs.dockerTools.buildLayeredImage {
  name = "config-only";
  config = {
    Cmd = [ "${pkgs.python3}/bin/python3" "-c" "print(6 * 7)" ];
    Labels = { version = pkgs.python3.version; };
  };
  maxLayers = 120;
}
