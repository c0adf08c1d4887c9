# usrBinEnv: /usr/bin/env, a link to that of coreutils.
#
# Type: a package for `contents`
#
# Arguments: none.
#
# Example:
#   build { name = "tool"; contents = [ usrBinEnv ]; }
{ fileTree, coreutils, ... }:
fileTree { name = "usr-bin-env"; links."usr/bin/env" = "${coreutils}/bin/env"; }
