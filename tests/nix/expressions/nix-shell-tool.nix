# Written with lib.pipe-like chains of one's own, `rec` and `with`.
{ pkgs ? import <nixpkgs> { } }:
with pkgs;
with dockerTools;
rec {
  script = writeShellScriptBin "tool" ''
    echo "$(${coreutils}/bin/basename "$0") ${lib.concatStringsSep "," [ "a" "b" ]}"
  '';
  image = buildImage {
    name = "tool";
    tag = null;
    created = "1970-01-01T00:00:01Z";
    copyToRoot = [ script ];
    config.Cmd = [ "${script}/bin/tool" ];
  };
}.image
