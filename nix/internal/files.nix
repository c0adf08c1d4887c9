# Files that a user names: as paths in the store, or an error that says which is not there.
let
  arguments = import ./arguments.nix;
  inherit (builtins) hasContext isPath isString pathExists;
in
{
  # Type: function name -> argument name -> package, path or string -> string
  inStore = function: argument: file:
    let path = if isString file && !hasContext file then /. + file else file; in
    if !isPath path then "${path}"
    else if pathExists path then "${path}"
    else arguments.fail function "`${argument}` is ${toString path}, which is not there.";
}
