# flattenImage: an image with one layer, the tree that all layers of another one make.
#
# Type: { fromImage, name, … } -> image
#
# Arguments:
#   fromImage         an image of ours, or any docker archive, OCI archive or OCI layout
#   fromImageName     which image of an archive of several …
#   fromImageTag      … and its tag
#   name, tag         of the result; tag null: the hash of what is in the image
#   created, compressor, compressionLevel, meta    as of build
#
# What upper layers delete or replace is gone, and takes no space any more. The config is that of fromImage. The layer depends
# on the tree alone: images that show the same have the same layer, however they are cut.
#
# Example:
#   flattenImage { fromImage = ./debian.tar; name = "debian-flat"; }
scope@{ arguments, imageArguments, runBuilder, baseImage, blobs, image, zstdProgram, ... }:
arguments.declare "flattenImage"
(imageArguments.ofBase // imageArguments.ofResult)
  (args:
  let
    base = baseImage { function = "flattenImage"; argument = "fromImage"; from = args.fromImage; imageName = args.fromImageName; imageTag = args.fromImageTag; };
    compressionLevel = scope.compressionLevel "flattenImage" args.compressor args.compressionLevel;
    layer = runBuilder {
      name = "flat-layer";
      verb = "flatten";
      # It names store paths, but has what is in them.
      forget = true;
      spec = { images = [ base.description ]; zstd = zstdProgram; };
    };
  in
  builtins.seq compressionLevel (image {
    inherit (args) name tag compressor meta;
    inherit compressionLevel;
    inherit (base) config platform;
    description = runBuilder {
      name = "image";
      verb = "restacked";
      near = true;
      spec = { configs = [ base.description ]; below = [ ]; layers = [ layer ]; inherit (args) created; };
    };
    layers = [ layer ];
    roots = [ ];
    copied = [ ];
    descriptions = [ layer ];
    rootDescriptions = [ layer ];
    bound = 1;
    blobsFor = how: blobs (how // { name = "flat"; descriptions = [ layer ]; });
  }))
