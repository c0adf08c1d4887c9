# buildLayeredImage: nixpkgs' function of this name: an image of packages whose closure is cut into layers.
#
# Type: { name, … } -> a derivation whose output is a docker archive
#
# Arguments: with nixpkgs' names and defaults
#   name, tag, fromImage, fromImageName, fromImageTag, config, architecture, variant, created, meta    as of build
#   contents              packages whose files appear at `/` as links into the store
#   mtime                 of all files, a date or seconds
#   uid, gid              of the store: for Nix without a daemon and root
#   uname, gname          accepted; engines go by the numbers
#   maxLayers             layers at the most, the base's included
#   layeringPipeline      what goes in which layer; then maxLayers is of no meaning
#   extraCommands         a bash script that runs in the tree of `contents`
#   fakeRootCommands      the same as root
#   enableFakechroot      whether `/` is the image's for it
#   includeNixDB          whether the image has Nix's database of its store paths
#   debug                 whether the build says which store paths are the biggest
#   includeStorePaths     false: only what is at `/`
#   compressor            of the whole archive: "gz", "zstd" or "none"; the layers in it are plain
#   passthru              further attributes
# Arguments that nixpkgs has not:
#   copyToRoot            packages whose files are copied to `/`
#   keepContentsDirlinks  as of buildImage
#   inheritConfig, allowPlatformMismatch, compressionLevel, runAsRoot, rootMode, users, groups, perms, rootfs
#                         as of build
#
# Example:
#   buildLayeredImage { name = "hello"; contents = [ hello ]; config.Cmd = [ "/bin/hello" ]; }
scope@{ arguments, layeredImage, ... }:
arguments.declare "buildLayeredImage" layeredImage.arguments
  (args:
  layeredImage.archive {
    inherit args;
    built = layeredImage.make "buildLayeredImage" args;
    compressionLevel = scope.compressionLevel "buildLayeredImage" args.compressor args.compressionLevel;
  })
