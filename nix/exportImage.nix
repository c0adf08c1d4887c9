# exportImage: the root file system of an image as an uncompressed tar file.
#
# Type: { fromImage, … } -> a derivation whose output is a tar
#
# Arguments:
#   fromImage         an image of ours, or any docker archive, OCI archive or OCI layout
#   fromImageName     which image of an archive of several …
#   fromImageTag      … and its tag
#   name              of the derivation; null: that of fromImage, ending in .tar
#   diskSize          of nixpkgs' virtual machine: accepted, and of no meaning here
#   meta              of the derivation
#
# What a container sees when it starts: whiteouts applied, owners, modes, devices, hard links and extended attributes as they
# are. Nothing is unpacked, so it needs neither root nor a virtual machine.
#
# Example:
#   exportImage { fromImage = ./debian.tar; }
{ arguments, imageArguments, types, names, runBuilder, baseImage, zstdProgram, ... }:
arguments.declare "exportImage"
(imageArguments.ofBase // {
  name = { type = types.nullOr types.string; default = null; };
  diskSize = { type = types.positive; default = 1024; };
  meta = { type = types.attrs; default = { }; };
})
  (args:
  let
    base = baseImage { function = "exportImage"; argument = "fromImage"; from = args.fromImage; imageName = args.fromImageName; imageTag = args.fromImageTag; };
    own = args.fromImage.name or (names.ofPath args.fromImage);
    stem = builtins.match "(.*)[.](tar|tar[.](gz|zst|xz|bz2)|tgz)" own;
  in
  runBuilder {
    name = if args.name != null then args.name else "${if stem == null then own else builtins.head stem}.tar";
    verb = "export";
    forget = true;
    spec = { images = [ base.description ]; zstd = zstdProgram; };
    inherit (args) meta;
  })
