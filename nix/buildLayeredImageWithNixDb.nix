# buildLayeredImageWithNixDb: nixpkgs' function of this name: buildLayeredImage with `includeNixDB = true`.
#
# Type: as buildLayeredImage
#
# Arguments: those of buildLayeredImage
#
# Example:
#   buildLayeredImageWithNixDb { name = "nix"; contents = [ nix bash ]; }
{ buildLayeredImage, ... }:
args: buildLayeredImage (if builtins.isAttrs args then args // { includeNixDB = true; } else args)
