# streamLayeredImage: nixpkgs' function of this name: a script that writes an image to standard output.
#
# Type: { name, … } -> a derivation whose output is an executable; `$(nix-build) | docker load`
#
# Arguments: those of buildLayeredImage; `compressor` is of no meaning here.
#
# Nothing is hashed when it runs: what is written was described by the build, and is checked against that.
#
# Example:
#   streamLayeredImage { name = "hello"; contents = [ hello ]; config.Cmd = [ "/bin/hello" ]; }
{ arguments, layeredImage, ... }:
arguments.declare "streamLayeredImage" layeredImage.arguments
  (args: layeredImage.stream { inherit args; built = layeredImage.make "streamLayeredImage" args; })
