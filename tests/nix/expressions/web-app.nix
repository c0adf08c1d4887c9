# A web application of one script, with what it needs in PATH, as a user that is not root.
{ pkgs, ... }:
let
  server = pkgs.writeShellApplication {
    name = "server";
    runtimeInputs = [ pkgs.python3 pkgs.coreutils ];
    text = ''
      cd /srv
      exec python3 -m http.server "''${PORT:-8000}"
    '';
  };
in
pkgs.dockerTools.buildLayeredImage {
  name = "registry.example.org/web/app";
  tag = "1.2.3";
  contents = [ server pkgs.dockerTools.caCertificates pkgs.dockerTools.binSh ];
  fakeRootCommands = ''
    mkdir -p ./srv ./tmp
    chmod 1777 ./tmp
    chown -R 1000:1000 ./srv
  '';
  config = {
    Entrypoint = [ "${server}/bin/server" ];
    User = "1000:1000";
    WorkingDir = "/srv";
    Env = [ "PORT=8000" "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt" ];
    ExposedPorts."8000/tcp" = { };
    Labels."org.opencontainers.image.source" = "https://example.org/web/app";
  };
}
