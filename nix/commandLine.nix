# The command line as a program in the store, and what the flake does with it.
#
# Type: package set -> { program; validated; }
#   program     an executable file, `dockertools-py`
#   validated   an image -> a derivation that fails when anything in its archive is not as it says
pkgs:
let
  scope = import ./internal {
    inherit (pkgs) python3 bash;
    inherit (pkgs.python3) system;
    zstd = pkgs.zstd or null;
    scriptPath = [ ];
  };
  command = [ "${pkgs.python3}/bin/python3" "-I" "-S" "-B" "${scope.program.tool}/dockertools_py" ];
in
{
  program = scope.runBuilder {
    name = "dockertools-py";
    verb = "script";
    local = true;
    spec = { bash = "${pkgs.bash}/bin/bash"; inherit command; };
  };
  validated = image: derivation {
    name = "${image.name}-validated";
    inherit (pkgs.python3) system;
    builder = "${pkgs.bash}/bin/bash";
    args = [ "-euc" ''result=$("$@"); echo "$result" > $out'' "validated" ]
      ++ command ++ [ "validate" "${image}" ]
      ++ (if scope.zstdProgram == null then [ ] else [ "--zstd" scope.zstdProgram ]);
  };
}
