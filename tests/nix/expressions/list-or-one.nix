# `contents` as one package.
{ pkgs, ... }: pkgs.dockerTools.buildLayeredImage { name = "one"; contents = pkgs.hello; config.Cmd = [ "hello" ]; }
