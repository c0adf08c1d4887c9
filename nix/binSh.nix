# binSh: /bin/sh, a link to bash.
#
# Type: a package for `contents`
#
# Arguments: none.
#
# Example:
#   build { name = "tool"; contents = [ binSh ]; }
{ fileTree, bash, ... }:
fileTree { name = "bin-sh"; links."bin/sh" = "${bash}/bin/bash"; }
