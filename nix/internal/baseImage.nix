# What `fromImage` and `mergeImages` take, as an image of ours: one already, or a file that is read.
#
# A derivation for each file, shared by all its children. What an image of ours promises to others is the list at the end of
# image.nix.
{ runBuilder, names, blobs, zstdProgram, ... }:
{ from, imageName ? null, imageTag ? null }:
let
  file = if builtins.isString from || builtins.isPath from then "${from}" else from;
  description = runBuilder {
    name = "${names.ofPath "${file}"}-description";
    verb = "base";
    spec = { file = "${file}"; inherit imageName imageTag; zstd = zstdProgram; };
  };
in
if from ? dockertoolsImage then from.dockertoolsImage
else {
  inherit description;
  roots = [ ];
  descriptions = [ description ];
  bound = 0; # unknown until it is read
  blobsFor = { compressor, compressionLevel }: blobs { name = "base"; descriptions = [ description ]; inherit compressor compressionLevel; };
  references = [ ];
}
