# The layer at `/` where scripts run as root in it: the files of packages, and what the scripts do to them.
#
#   links, copies, keepContentsDirlinks, owners, owner, mtime, below, defaults
#                                 as of rootLayer.nix
#   scripts                       { runAsRoot; extraCommands; fakeRootCommands; enableFakechroot; }
#   stack                         all descriptions of what lies below: the layers that scripts with a root of their own see
#   rootMode                      "emulated", or "uid-range" for a builder with real ids
#   again                         a second run of the same scripts, for scriptCheck.nix
{ runBuilder, bash, scriptPath, zstdProgram, ... }:
{ links, copies, keepContentsDirlinks, owners ? null, defaults ? [ ], scripts, rootMode, owner, mtime, below, stack, again ? false }:
let
  isOnStack = scripts.runAsRoot != null || (scripts.fakeRootCommands != "" && scripts.enableFakechroot);
in
runBuilder {
  name = if again then "script-layer-again" else "script-layer";
  verb = "scripts";
  features = if rootMode == "uid-range" then [ rootMode ] else [ ];
  spec = {
    inherit links copies owner owners mtime scripts rootMode below again defaults;
    openLinks = !keepContentsDirlinks;
    stack = if isOnStack then stack else null;
    zstd = zstdProgram;
    bash = "${bash}/bin/bash";
    path = map (package: "${package.bin or package}/bin") ([ bash ] ++ scriptPath);
  };
}
