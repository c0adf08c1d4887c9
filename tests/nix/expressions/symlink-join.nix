# One package of several, with a link of its own.
{ pkgs, ... }:
pkgs.dockerTools.streamLayeredImage {
  name = "symlink-join";
  contents = [
    (pkgs.symlinkJoin {
      name = "all";
      paths = [ pkgs.hello pkgs.gnused ];
      postBuild = "ln -s hello $out/bin/greet";
    })
  ];
  config.Entrypoint = [ "/bin/greet" ];
}
