# toLayered: a flat root file system tar cut into layers by store path.
#
# Type: { tarball, name, … } -> image
#
# Arguments:
#   tarball           a root file system tar, of `docker export`, mkTarball or anything else; plain, gz, zstd, xz or bzip2
#   name, tag         of the result; tag null: the hash of what is in the image
#   config            how a container is started: a tar does not say
#   normalise         give what is in the store the modes, owner and time that Nix keeps, so that its layers are those of
#                     images of ours
#   maxLayers         layers at the most, up to 125
#   created, architecture, variant, compressor, compressionLevel, meta    as of build
#
# A layer for each store path of at least 1 MiB, the biggest first as far as maxLayers allows; one for the other store paths;
# the last one for all that is not in the store.
#
# Example:
#   toLayered { tarball = ./exported.tar; name = "app"; config.Cmd = [ "/bin/app" ]; }
scope@{ arguments, imageArguments, types, names, containerConfig, platform, runBuilder, blobs, build, files, image, system, zstdProgram, ... }:
arguments.declare "toLayered"
(imageArguments.ofResult // {
  tarball = { type = types.file; };
  config = { type = types.any; default = { }; };
  normalise = { type = types.bool; default = false; };
  maxLayers = { type = types.between 1 125; default = 40; };
  architecture = { type = types.nullOr types.architecture; default = null; };
  variant = { type = types.nullOr types.string; default = null; };
})
  (args:
  let
    # Checked here, where errors name this function.
    config = containerConfig "toLayered" args.config;
    compressionLevel = scope.compressionLevel "toLayered" args.compressor args.compressionLevel;
    layers = runBuilder {
      name = "${names.ofPath args.tarball}-layers";
      verb = "layered";
      # It names store paths, but has what is in them.
      forget = true;
      spec = { tarball = files.inStore "toLayered" "tarball" args.tarball; budget = args.maxLayers; inherit (args) normalise; zstd = zstdProgram; };
    };
    imagePlatform = platform.make args.architecture args.variant system;
    # The tar as an image without config: what is put on top of it is `build`'s.
    flat = image {
      platform = imagePlatform;
      inherit (args) name compressor;
      inherit compressionLevel;
      tag = null;
      meta = { };
      description = runBuilder {
        name = "image";
        verb = "image";
        near = true;
        spec = {
          bases = [ ];
          base = false;
          layers = [ layers ];
          config = { };
          inherit (args) created;
          platform = imagePlatform;
        };
      };
      layers = [ layers ];
      config = { };
      roots = [ ];
      copied = [ ];
      descriptions = [ layers ];
      rootDescriptions = [ layers ];
      bound = args.maxLayers;
      blobsFor = how: blobs (how // { name = "layered"; descriptions = [ layers ]; });
    };
    built = build {
      fromImage = flat;
      inherit config;
      inherit (args) name tag created architecture variant compressor compressionLevel meta;
    };
  in
  builtins.seq compressionLevel (built // { layers = [ layers ] ++ built.layers; }))
