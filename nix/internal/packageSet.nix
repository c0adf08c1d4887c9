# <nixpkgs> where there is one, else the set of Debian packages that comes with us, with a line that says so.
let
  found = builtins.tryEval <nixpkgs>;
in
if found.success then import found.value { }
else builtins.trace "dockertools_py: no <nixpkgs> in NIX_PATH, so the packages are Debian's (nix/hostpkgs: for trying out)" (import ../hostpkgs { })
