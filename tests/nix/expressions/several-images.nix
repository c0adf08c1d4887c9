# A set of images, made by a function, and all of them in one archive.
{ pkgs, lib, ... }:
let
  image = name: package: pkgs.dockerTools.buildLayeredImage {
    inherit name;
    tag = "latest";
    contents = [ package ];
    config.Entrypoint = [ (lib.getExe package) ];
  };
  images = lib.mapAttrsToList image { inherit (pkgs) hello gnused; };
in
pkgs.dockerTools.mergeImages images
