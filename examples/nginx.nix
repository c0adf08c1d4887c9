# A web server for a static site: the server in its layers, the site in the last one.
pkgs: with pkgs;
let
  site = writeTextDir "index.html" "<h1>Served from the Nix store</h1>\n";
  configuration = writeText "nginx.conf" ''
    daemon off;
    user root root;
    error_log /dev/stderr info;
    pid /run/nginx.pid;
    events { }
    http {
      access_log /dev/stdout;
      client_body_temp_path /tmp/body;
      proxy_temp_path /tmp/proxy;
      fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi;
      scgi_temp_path /tmp/scgi;
      server { listen 80; root ${site}; }
    }
  '';
in
dockerTools.build {
  name = "nginx";
  contents = [ nginx ];
  extraCommands = ''
    mkdir -p run tmp var/log/nginx etc
    chmod 1777 tmp
    echo root:x:0:0::/root:/noshell > etc/passwd
    echo root:x:0: > etc/group
  '';
  config = {
    Cmd = [ "/bin/nginx" "-c" configuration ];
    ExposedPorts."80/tcp" = { };
  };
}
