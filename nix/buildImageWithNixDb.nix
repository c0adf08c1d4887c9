# buildImageWithNixDb: nixpkgs' function of this name: buildImage with `includeNixDB = true`.
#
# Type: as buildImage
#
# Arguments: those of buildImage
#
# Example:
#   buildImageWithNixDb { name = "nix"; copyToRoot = [ nix bash ]; }
{ buildImage, ... }:
args: buildImage (if builtins.isAttrs args then args // { includeNixDB = true; } else args)
