# buildImage: nixpkgs' function of this name: an image of packages that are copied to `/`.
#
# Type: { name, … } -> a derivation whose output is a docker archive
#
# Arguments: with nixpkgs' names and defaults
#   name, tag, fromImage, fromImageName, fromImageTag, config, architecture, variant, created, meta    as of build
#   copyToRoot            packages whose files are copied to `/`
#   contents              the older name of the same
#   keepContentsDirlinks  false: a link to a directory in them becomes a directory of what is in it
#   runAsRoot             a bash script that runs as root, with the base and what is copied as its `/`
#   extraCommands         a bash script that runs in the tree of what is copied
#   uid, gid              of what is at `/`; the store's is 0:0
#   includeNixDB          whether the image has Nix's database of its store paths
#   compressor            of the whole archive: "gz", "zstd" or "none"; the layers in it are plain
#   diskSize, buildVMMemorySize
#                         of nixpkgs' virtual machine: accepted, and of no meaning here
# Arguments that nixpkgs has not:
#   maxLayers             layers at the most, the base's included; null: see below
#   mtime, passthru       as of buildLayeredImage
#   inheritConfig, allowPlatformMismatch, compressionLevel, fakeRootCommands, enableFakechroot, rootMode, users, groups,
#   perms, rootfs, debug  as of build
#
# nixpkgs makes one layer of each call. Here the closure is cut as `build` cuts it, but on a base into a quarter at most of the
# layers that are left up to 125: so that images can be stacked as deep as there.
#
# Example:
#   buildImage { name = "hello"; copyToRoot = [ hello ]; config.Cmd = [ "/bin/hello" ]; }
scope@{ arguments, dropIn, types, ... }:
let
  optional = type: default: { inherit type default; };
in
arguments.declare "buildImage"
(dropIn.arguments // {
  maxLayers = optional (types.nullOr (types.between 2 125)) null;
  diskSize = optional (types.nullOr types.positive) null;
  buildVMMemorySize = optional (types.nullOr types.positive) null;
})
  (args:
  let
    special = {
      storeOwner = [ 0 0 ];
      rootOwner = [ args.uid args.gid ];
      counted = others:
        if args.maxLayers == null then { most = 125 - others; part = 4; cap = 40; }
        else { most = args.maxLayers - others; named = true; };
      names.fileName = baseNameOf args.name;
    };
    built = dropIn.build "buildImage" special (dropIn.forBuild args // {
      inherit (args) maxLayers;
      contents = [ ];
      copyToRoot = types.toList args.copyToRoot ++ types.toList args.contents;
    });
    compressionLevel = scope.compressionLevel "buildImage" args.compressor args.compressionLevel;
    unused = builtins.filter (name: args.${name} != null) [ "diskSize" "buildVMMemorySize" ];
  in
  dropIn.result {
    inherit built;
    derivation = dropIn.archive {
      inherit built compressionLevel;
      inherit (args) compressor meta;
      name = "docker-image-${baseNameOf args.name}";
      notes = map (name: "buildImage: `${name}` is of no meaning: there is no virtual machine") unused;
    };
    passthru = args.passthru // {
      inherit (built) imageTag;
      buildArgs = args;
      layer = if built.layers == [ ] then built.description else builtins.elemAt built.layers (builtins.length built.layers - 1);
    };
  })
