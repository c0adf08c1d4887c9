# A small executable that runs this program with some arguments, before those that it is given itself.
#
#   described   null, or what makes the description of an image, for runBuilder: the same derivation writes it, as its output
#               `image`, and the executable has it as its last argument. From an edit to a container that is a derivation less
{ runBuilder, program, python3, bash, ... }:
{ name, arguments, described ? null }:
let
  script = {
    bash = "${bash}/bin/bash";
    command = [ "${python3}/bin/python3" "-I" "-S" "-B" "${program.tool}/dockertools_py" ] ++ arguments;
  };
in
runBuilder
  ({ inherit name; near = true; } // (
    if described == null then { verb = "script"; spec = script; }
    else {
      verb = "executable";
      spec = { inherit script; image = described.spec // { inherit (described) verb; }; };
      inherit (described) graphs;
      outputs = [ "out" "image" ];
      # Whoever installs or builds it wants the executable.
      meta.outputsToInstall = [ "out" ];
    }
  ))
