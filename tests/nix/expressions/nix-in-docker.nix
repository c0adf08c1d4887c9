# Nix itself, with a database.
{ pkgs, ... }:
pkgs.dockerTools.buildImageWithNixDb {
  name = "nix";
  tag = "latest";
  copyToRoot = pkgs.buildEnv {
    name = "image-root";
    pathsToLink = [ "/bin" "/etc" ];
    paths = [
      pkgs.coreutils
      pkgs.bash
      pkgs.nix
      (pkgs.writeTextDir "etc/nix/nix.conf" "build-users-group =\nsandbox = false\n")
    ];
  };
  config.Env = [ "NIX_PAGER=cat" "USER=nobody" "PATH=/bin" ];
}
