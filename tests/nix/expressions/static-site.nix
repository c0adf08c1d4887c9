# A site of files, served by nginx.
{ pkgs, lib, ... }:
let
  site = pkgs.runCommand "site" { } ''
    mkdir -p $out/blog
    echo '<h1>Home</h1>' > $out/index.html
    echo '<h1>Blog</h1>' > $out/blog/index.html
  '';
  port = "8080";
  nginxConf = pkgs.writeText "nginx.conf" ''
    user nobody nobody;
    daemon off;
    error_log /dev/stdout info;
    pid /dev/null;
    events {}
    http {
      access_log /dev/stdout;
      server {
        listen ${port};
        location / { root ${site}; }
      }
    }
  '';
in
pkgs.dockerTools.buildLayeredImage {
  name = "static-site";
  tag = "latest";
  contents = [ pkgs.dockerTools.fakeNss pkgs.nginx ];
  extraCommands = ''
    mkdir -p tmp/nginx_client_body
    mkdir -p var/log/nginx
  '';
  config = {
    Cmd = [ (lib.getExe pkgs.nginx) "-c" nginxConf ];
    ExposedPorts = { "${port}/tcp" = { }; };
  };
}
