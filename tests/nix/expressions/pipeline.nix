# Python by itself, since it seldom changes.
{ pkgs, ... }:
let app = pkgs.writeScriptBin "app" "#!${pkgs.python3}/bin/python3\nprint('app')\n"; in
pkgs.dockerTools.streamLayeredImage {
  name = "pipeline";
  contents = [ app ];
  layeringPipeline = [
    [ "subcomponent_out" [ pkgs.python3 ] ]
    [ "over" "rest" [ "pipe" [ [ "popularity_contest" ] [ "limit_layers" 10 ] ] ] ]
  ];
  config.Cmd = [ "/bin/app" ];
}
