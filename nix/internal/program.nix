# The Python program, byte-compiled: without that every build would compile it anew, which costs more than most builds.
#
#   builder   all that a derivation of ours needs
#   tool      the command line as well
#
# They are apart so that editing a report rebuilds no image.
{ python3, system }:
let
  forBuilds = [ "__init__.py" "__main__.py" "errors.py" "model" "pack" "store" "formats" "root" "derivations" ];
  isSource = type: name: (type == "directory" && name != "__pycache__") || builtins.match ".*[.]py" name != null;
  source = keep: builtins.path {
    name = "dockertools_py";
    path = ../../dockertools_py;
    filter = path: type: isSource type (baseNameOf path) && keep (top path);
  };
  # The first part of a path below the source folder.
  prefix = builtins.stringLength (toString ../../dockertools_py) + 1;
  top = path: builtins.head (builtins.split "/" (builtins.substring prefix (-1) path));

  compiled = name: src: derivation {
    inherit name system src;
    builder = "${python3}/bin/python3";
    args = [ "-I" "-S" "-B" ./compileProgram.py ];
  };
in
{
  builder = compiled "dockertools-py-builder" (source (name: builtins.elem name forBuilds));
  tool = compiled "dockertools-py" (source (_: true));
}
