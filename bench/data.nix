# Data for the benchmark, in the store: what a closure really looks like, as large as asked for.
#
# Copies of the files of python, perl, nix and redis with their libraries, each copy changed in every file, so that nothing is
# equal to anything else: file sizes, names, depth and content are those of real packages.
#
#   nix-build bench/data.nix -A small.paths     about 50 MB in 1,000 files, 2 paths
#   nix-build bench/data.nix -A middle.paths    about 1 GB in 20,000 files, 40 paths
#   nix-build bench/data.nix -A big.paths       about 10 GB in 200,000 files, 400 paths
{ ours ? import ../. { } }:
let
  inherit (ours) pkgs dockerTools;
  sources = [ pkgs.python3 pkgs.perl pkgs.nix pkgs.redis ];

  # Part `part` of `parts` of one copy: paths of some 25 MB.
  path = copy: part: parts: derivation {
    name = "bench-${toString copy}-${toString part}";
    inherit (pkgs.python3) system;
    builder = "${pkgs.python3}/bin/python3";
    args = [ "-I" "-S" "-B" ./copyData.py ];
    __structuredAttrs = true;
    exportReferencesGraph.closure = map (p: "${p}") sources;
    spec = { inherit copy part parts; };
  };
  copies = number: parts: builtins.concatLists (builtins.genList (copy: builtins.genList (part: path copy part parts) parts) number);
  take = n: list: builtins.genList (builtins.elemAt list) n;
  # The paths, something that refers to all of them as an application does to its libraries, and an image of the paths whose last
  # root has a line to be changed.
  data = paths:
    let
      image = line: dockerTools.build {
        name = "bench";
        layers = paths;
        contents = [ (pkgs.writeTextDir "etc/line" "${line}\n") ];
        maxLayers = 125;
      };
    in
    {
      inherit paths image;
      application = pkgs.writeText "bench-application" (builtins.concatStringsSep "\n" paths);
    };
in
builtins.mapAttrs (_: data) {
  small = take 2 (copies 1 8);
  middle = copies 5 8;
  big = copies 50 8;
}
