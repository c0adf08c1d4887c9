# An image of bench/data.nix's paths, and above them bash and a file of 1 MB that is another one for each `salt`.
{ data, salt }:
let
  ours = import ../. { };
  inherit (ours) pkgs dockerTools;
  # The user's package: made by a builder, so that nobody evaluates a megabyte.
  payload = derivation {
    name = "payload";
    inherit (pkgs.python3) system;
    builder = "${pkgs.python3}/bin/python3";
    args = [ "-I" "-S" "-B" "-c" "import os; e = os.environ; os.makedirs(e['out'] + '/etc'); open(e['out'] + '/etc/payload', 'w').write((e['line'] + '\\n') * 15384)" ];
    line = builtins.hashString "sha256" salt;
  };
in
rec {
  image = dockerTools.build {
    name = "bench";
    layers = (import ./data.nix { inherit ours; }).${data}.paths;
    contents = [ pkgs.bash payload ];
    config.Cmd = [ "/bin/bash" "-c" "read -r line < /etc/payload; echo $line" ];
    maxLayers = 125;
  };

  plain = image.override { compressor = "none"; };

  # The layers that an edit changes, without those below.
  changed = dockerTools.build {
    name = "changed";
    contents = payload;
    compressor = "none";
  };

  # As nixpkgs' streamLayeredImage: a small executable that tars each layer twice; a path a layer, and nothing at `/`.
  twoPass = derivation {
    name = "two-pass";
    inherit (pkgs.bash) system;
    builder = "${pkgs.bash}/bin/bash";
    paths = (import ./data.nix { inherit ours; }).${data}.paths;
    inherit (pkgs) bash;
    inherit payload;
    exportReferencesGraph = [ "bash" pkgs.bash "payload" payload ];
    args = [ "-c" ''
      paths=$paths
      while read -r line; do [[ $line != /nix/store/* || " $paths " == *" $line "* ]] || paths+=" $line"; done < <(echo "$(<bash)"; echo "$(<payload)")
      {
        echo "#!$bash/bin/bash"
        echo "exec ${pkgs.python3}/bin/python3 -I -S -B ${./twopass.py} two-pass:''${out:11:32} '$bash/bin/bash -c read -r line < $payload/etc/payload; echo \$line' $paths"
      } > $out
      ${pkgs.coreutils}/bin/chmod +x $out
    '' ];
  };

  # As nixpkgs' buildLayeredImage makes its archive: one derivation streams all layers into pigz, again after each change. The
  # streamer is ours, which is quicker than its own; pigz is the system's, see load.py.
  whole = derivation {
    name = "whole.tar.gz";
    inherit (pkgs.bash) system;
    builder = "${pkgs.bash}/bin/bash";
    args = [ "-c" "set -o pipefail; ${image.stream} | /usr/bin/pigz -p$NIX_BUILD_CORES -nTR > $out" ];
  };
}
