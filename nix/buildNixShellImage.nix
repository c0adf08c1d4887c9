# buildNixShellImage: nixpkgs' function of this name: an image in which one is in a derivation's build environment, as nix-shell
# has it.
#
# Type: { drv, … } -> a derivation whose output is a docker archive
#
# Arguments:
#   drv, name, tag, uid, gid, homeDirectory, shell, command, run    as of streamNixShellImage
#   compressor                                                      of the archive
#
# Example:
#   buildNixShellImage { drv = hello; }
scope@{ arguments, dropIn, layeredImage, nixShell, ... }:
arguments.declare "buildNixShellImage" (nixShell.arguments // { inherit (dropIn.arguments) compressor; })
  (args:
  let
    shell = nixShell.make "buildNixShellImage" args;
    built = dropIn.build "buildNixShellImage" shell.special (shell.image // { inherit (args) compressor; });
  in
  layeredImage.archive {
    inherit built;
    args = { inherit (shell) name; inherit (args) compressor; meta = { }; passthru = { }; };
    compressionLevel = scope.compressionLevel "buildNixShellImage" args.compressor null;
  })
