# The layer at `/`: the files of packages as links (`links`) or copies (`copies`), what a script does to them, and last users,
# groups, owners and modes (`owners`, of owners.nix; null: none). Those of `links` that are in `defaults` too leave what lies below
# as it is.
{ runBuilder, bash, scriptPath, zstdProgram, ... }:
{ links, copies, extraCommands, keepContentsDirlinks, owner, mtime, below, owners ? null, defaults ? [ ] }:
runBuilder {
  name = "root-layer";
  verb = "root";
  spec = {
    inherit links copies extraCommands owner mtime below;
  } // (if keepContentsDirlinks then { } else { openLinks = true; }) // (if extraCommands == "" then { } else {
    bash = "${bash}/bin/bash";
    path = map (package: "${package.bin or package}/bin") ([ bash ] ++ scriptPath);
  }) // (if defaults == [ ] then { } else { inherit defaults; }) // (if owners == null then { } else { inherit owners; zstd = zstdProgram; });
}
