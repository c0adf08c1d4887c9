# The Python program, byte-compiled: without that every build would compile it anew, which costs more than most builds.
#
#   builder   all that a derivation of ours needs
#   fetcher   what those need that fetch something as well
#   tool      the command line as well
#
# They are apart so that editing a report, or how something is fetched, rebuilds no image.
{ python3, system }:
let
  forBuilds = [ "__init__.py" "__main__.py" "errors.py" "parallel.py" "model" "pack" "store" "formats" "root" "derivations" ];
  isFetching = below: top below == "registry" || builtins.match "derivations/fetch_.*" below != null;
  isSource = type: name: (type == "directory" && name != "__pycache__") || builtins.match ".*[.]py" name != null;
  source = keep: builtins.path {
    name = "dockertools_py";
    path = ../../dockertools_py;
    filter = path: type: isSource type (baseNameOf path) && keep (builtins.substring prefix (-1) path);
  };
  # Of a path below the source folder the first part.
  prefix = builtins.stringLength (toString ../../dockertools_py) + 1;
  top = below: builtins.head (builtins.split "/" below);
  isForBuilds = below: builtins.elem (top below) forBuilds;

  compiled = name: src: derivation {
    inherit name system src;
    builder = "${python3}/bin/python3";
    args = [ "-I" "-S" "-B" ./compileProgram.py ];
  };
in
{
  builder = compiled "dockertools-py-builder" (source (below: isForBuilds below && !isFetching below));
  fetcher = compiled "dockertools-py-fetcher" (source (below: isForBuilds below || isFetching below));
  tool = compiled "dockertools-py" (source (_: true));
}
