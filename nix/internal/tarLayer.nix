# A root file system tar that is not ours as a layer: described, its bytes stay in its file.
{ runBuilder, names, zstdProgram, ... }:
tarball:
runBuilder {
  name = "${names.ofPath tarball}-layer";
  verb = "tar_layer";
  near = true;
  spec = { inherit tarball; zstd = zstdProgram; };
}
