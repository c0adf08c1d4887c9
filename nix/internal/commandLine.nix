# The command line as a program in the store, and what the flake and Hydra do with it.
#
# Type: package set -> { program; validated; validate; runnable; release; }
#   program     an executable file, `dockertools-py`
#   validated   an image -> a derivation that fails when anything in its archive is not as it says
#   validate    { name, files } -> the same of archives and layouts; the output has a report
#   runnable    an image -> the same with packages in the place of its executables, since `nix run` wants a `bin`
#   release     { constituents, releaseName, meta } -> a job of Hydra that is there when all of others are
pkgs:
let
  scope = import ./. {
    inherit (pkgs) python3 bash coreutils;
    inherit (pkgs.python3) system;
    zstd = pkgs.zstd or null;
    scriptPath = [ ];
  };
  command = [ "${pkgs.python3}/bin/python3" "-I" "-S" "-B" "${scope.program.tool}/dockertools_py" ];
  validate = { name, files }: derivation {
    inherit name;
    inherit (pkgs.python3) system;
    builder = "${pkgs.bash}/bin/bash";
    # As Hydra shows it: a report.
    args = [ "-euc" ''
      result=$("$@")
      ${pkgs.coreutils}/bin/mkdir -p $out/nix-support
      echo "$result" > $out/report.txt
      echo "doc report $out/report.txt" > $out/nix-support/hydra-build-products
      echo "$name" > $out/nix-support/hydra-release-name
    '' "validated" ]
      ++ command ++ [ "validate" ] ++ files
      ++ (if scope.zstdProgram == null then [ ] else [ "--zstd" scope.zstdProgram ]);
  };
in
{
  program = scope.runBuilder {
    name = "dockertools-py";
    verb = "script";
    near = true;
    spec = { bash = "${pkgs.bash}/bin/bash"; inherit command; };
  };
  inherit validate;
  validated = image: validate { name = "${image.name}-validated"; files = [ "${image}" ]; };
  runnable = image: image // builtins.mapAttrs
    (program: executable: removeAttrs executable [ "outputs" "image" ] // scope.runBuilder {
      inherit (executable) name;
      verb = "script";
      near = true;
      spec = { bash = "${pkgs.bash}/bin/bash"; command = [ "${executable}" ]; inherit program; };
      meta.mainProgram = program;
    })
    (builtins.intersectAttrs { stream = null; load = null; lazyLoad = null; push = null; lazyPush = null; run = null; } image);
  release = { constituents, releaseName, meta }:
    scope.runBuilder
      {
        name = "release";
        verb = "hydra_release";
        local = true;
        spec = { constituents = map (job: "${job}") constituents; inherit releaseName; };
        inherit meta;
      } // { _hydraAggregate = true; inherit constituents; };
}
