# mkTarball: one root file system tar of a closure, its packages' files visible at `/`.
#
# Type: { drv | contents, … } -> a derivation whose output is a tar
#
# Arguments:
#   drv               one package …
#   contents          … or several, as links at `/`
#   copyToRoot        packages whose files are copied to `/`
#   name              of the derivation; by default the first package's
#   compressor        "gz", "zstd" or "none"
#   compressionLevel  null: 2 for gz, 3 for zstd
#   users, groups     users and groups, as of build
#   perms             modes, owners and capabilities, as of build
#   uid, gid, mtime   of all files
#   meta              of the derivation
#
# For `docker import`, `tar -x` and the like; and for `build { addTarball = …; }`, which knows what is in it and takes just what
# the base has not.
#
# Example:
#   mkTarball { drv = bash; }
scope@{ arguments, types, runBuilder, names, files, mentioned, owners, zstdProgram, ... }:
arguments.declare "mkTarball"
(owners.parameters // {
  drv = { type = types.nullOr types.package; default = null; };
  contents = { type = types.nullOr types.packages; default = null; };
  copyToRoot = { type = types.packages; default = [ ]; };
  name = { type = types.nullOr types.string; default = null; };
  compressor = { type = types.oneOf [ "gz" "none" "zstd" ]; default = "gz"; };
  compressionLevel = { type = types.nullOr types.natural; default = null; };
  uid = { type = types.natural; default = 0; };
  gid = { type = types.natural; default = 0; };
  mtime = { type = types.natural; default = 1; };
  meta = { type = types.attrs; default = { }; };
})
  (args:
  let
    suffix = { gz = ".tar.gz"; zstd = ".tar.zst"; none = ".tar"; }.${args.compressor};
    paths = argument: packages: map (files.inStore "mkTarball" argument) (types.toList packages);
    links =
      if args.drv != null && args.contents != null then
        arguments.fail "mkTarball" "both `drv` and `contents` are given: write `contents` with all packages, or `drv` with the only one."
      else paths "drv" args.drv ++ paths "contents" args.contents;
    copies = paths "copyToRoot" args.copyToRoot;
    roots = links ++ copies;
    wanted = owners.make "mkTarball" { inherit (args) users groups perms; };
    level = scope.compressionLevel "mkTarball" args.compressor args.compressionLevel;
  in
  builtins.seq wanted (if roots == [ ] then arguments.fail "mkTarball" "`drv` is missing: write drv = a package, or contents = a list of them."
  else
    runBuilder
      {
        name = (if args.name != null then args.name else "${names.ofPath (builtins.head roots)}-root") + suffix;
        verb = "tarball";
        graphs.closure = roots ++ mentioned (if wanted == null then [ ] else wanted.users);
        spec = (if wanted == null then { } else { owners = wanted; }) // {
          inherit links copies level;
          copied = builtins.filter (path: !builtins.elem path links) copies;
          inherit (args) compressor mtime;
          owner = [ args.uid args.gid ];
          zstd = zstdProgram;
        };
        forget = true;
        inherit (args) meta;
      } // {
      dockertoolsTarball = { contents = links; copyToRoot = copies; owners = wanted; };
    }))
