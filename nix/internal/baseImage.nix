# What `fromImage` and `mergeImages` take, as an image of ours: one already, or a file that is read.
#
# A derivation for each file, shared by all its children. What an image of ours promises to others is the list at the end of
# image.nix.
scope@{ runBuilder, names, blobs, files, system, zstdProgram, ... }:
{ function, argument, from, imageName ? null, imageTag ? null, all ? false, platform ? scope.platform.make null null system }:
let
  file = files.inStore function argument from;
  description = runBuilder {
    name = "${names.ofPath file}-description";
    verb = "base";
    near = true;
    spec = { inherit file argument imageName imageTag all platform; zstd = zstdProgram; };
  };
in
if from ? dockertoolsImage then from.dockertoolsImage
else {
  inherit description;
  config = { }; # unknown until it is read
  platform = null; # likewise
  roots = [ ];
  copied = [ ];
  descriptions = [ description ];
  stack = [ description ];
  rootDescriptions = [ description ];
  bound = 0; # likewise
  blobsFor = { compressor, compressionLevel }: blobs { name = "base"; descriptions = [ description ]; inherit compressor compressionLevel; };
  references = null; # it has its own
}
