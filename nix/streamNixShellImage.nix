# streamNixShellImage: nixpkgs' function of this name: a script that writes an image in which one is in a derivation's build
# environment, as nix-shell has it.
#
# Type: { drv, … } -> a derivation whose output is an executable
#
# Arguments:
#   drv             the derivation
#   name            of the image; null: the derivation's, with -env
#   tag             as of streamLayeredImage
#   uid, gid        of the user in it
#   homeDirectory   HOME; the folder of the build, /build, is made, others are not
#   shell           the program that is the shell
#   command         what is run in the interactive shell, which ends then
#   run             what is run without one
#
# Example:
#   streamNixShellImage { drv = hello; run = "buildDerivation"; }
{ arguments, dropIn, layeredImage, nixShell, ... }:
arguments.declare "streamNixShellImage" nixShell.arguments
  (args:
  let shell = nixShell.make "streamNixShellImage" args; in
  layeredImage.stream {
    built = dropIn.build "streamNixShellImage" shell.special shell.image;
    args = { meta = { }; passthru = { }; };
  })
