# mkDelta: what one must add to get from an image to another.
#
# Type: { fromImage, toImage, … } -> image, with `tarball` and `removed`
#
# Arguments:
#   fromImage         the image that is there: one of ours, or any docker archive, OCI archive or OCI layout
#   fromImageName     which image of an archive of several …
#   fromImageTag      … and its tag
#   toImage           the image that is wanted; toImageName and toImageTag likewise
#   name, tag         of the result; name null: that of toImage, or "delta"; tag null: the hash of what is in the image
#   created, compressor, compressionLevel, meta    as of build
#
# The result is fromImage with one layer more, which shows what toImage shows, and has its config. Further attributes:
#   tarball           a tar of what is new or other, for ADD in a Dockerfile
#   removed           a file of the paths to remove before that, each followed by NUL: `xargs -0 rm -rf --`
# Paths differ when kind, mode, owner, link target, device, extended attributes or content do; times do not count.
#
# Example:
#   mkDelta { fromImage = app-1; toImage = app-2; }
scope@{ arguments, imageArguments, types, names, runBuilder, baseImage, blobs, image, zstdProgram, ... }:
arguments.declare "mkDelta"
(imageArguments.ofBase // imageArguments.ofResult // {
  toImage = { type = types.file; };
  toImageName = { type = types.nullOr types.string; default = null; };
  toImageTag = { type = types.nullOr types.string; default = null; };
  name = { type = types.nullOr names.name; default = null; };
})
  (args:
  let
    function = "mkDelta";
    old = baseImage { inherit function; argument = "fromImage"; from = args.fromImage; imageName = args.fromImageName; imageTag = args.fromImageTag; };
    new = baseImage { inherit function; argument = "toImage"; from = args.toImage; imageName = args.toImageName; imageTag = args.toImageTag; };
    compressionLevel = scope.compressionLevel function args.compressor args.compressionLevel;
    make = form: suffix: runBuilder {
      name = "delta${suffix}";
      verb = "delta";
      # It names store paths, but has what is in them, or lies on top of it.
      forget = true;
      spec = { images = [ old.description new.description ]; inherit form; zstd = zstdProgram; };
    };
    layer = make "layer" "-layer";
  in
  builtins.seq compressionLevel (image {
    inherit (args) tag compressor meta;
    inherit compressionLevel;
    name = if args.name != null then args.name else args.toImage.imageName or "delta";
    description = runBuilder {
      name = "image";
      verb = "restacked";
      near = true;
      spec = { configs = [ new.description ]; below = [ old.description ]; layers = [ layer ]; inherit (args) created; };
    };
    layers = [ layer ];
    # For images on top it is what it shows: the second image.
    inherit (new) config platform roots copied descriptions rootDescriptions;
    bound = old.bound + 1;
    blobsFor = how: old.blobsFor how ++ blobs (how // { name = "delta"; descriptions = [ layer ]; });
  } // {
    tarball = make "tarball" ".tar";
    removed = make "removed" "-removed";
  }))
