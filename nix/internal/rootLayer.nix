# The layer at `/`: the files of packages as links (`links`) or copies (`copies`), and what a script does to them.
{ runBuilder, bash, scriptPath, ... }:
{ links, copies, extraCommands, keepContentsDirlinks, owner, mtime, below }:
runBuilder {
  name = "root-layer";
  verb = "root";
  spec = {
    inherit links copies extraCommands owner mtime below;
  } // (if keepContentsDirlinks then { } else { openLinks = true; }) // (if extraCommands == "" then { } else {
    bash = "${bash}/bin/bash";
    path = map (package: "${package.bin or package}/bin") ([ bash ] ++ scriptPath);
  });
}
