# A service with its data in a volume; the user is made by a script as root.
{ pkgs, ... }:
pkgs.dockerTools.buildImage {
  name = "redis";
  tag = "latest";
  runAsRoot = ''
    #!${pkgs.runtimeShell}
    mkdir -p /data /etc
    echo "root:x:0:0::/root:/bin/sh" > /etc/passwd
    echo "redis:x:999:999::/data:/bin/sh" >> /etc/passwd
    chown 999:999 /data
  '';
  copyToRoot = [ pkgs.redis ];
  diskSize = 2048;
  config = {
    Cmd = [ "/bin/redis-server" ];
    WorkingDir = "/data";
    Volumes = { "/data" = { }; };
    User = "999";
  };
}
