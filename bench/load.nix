# An image of bench/data.nix's paths, and above them bash and a file of 1 MB that is another one for each `salt`.
{ data, salt }:
let
  ours = import ../. { };
  inherit (ours) pkgs dockerTools;
  line = "${builtins.hashString "sha256" salt}\n";
  payload = builtins.concatStringsSep "" (builtins.genList (_: line) (1000000 / builtins.stringLength line));
in
dockerTools.build {
  name = "bench";
  layers = (import ./data.nix { inherit ours; }).${data}.paths;
  contents = [ pkgs.bash (pkgs.writeTextDir "etc/payload" payload) ];
  config.Cmd = [ "/bin/bash" "-c" "read -r line < /etc/payload; echo $line" ];
  maxLayers = 125;
}
