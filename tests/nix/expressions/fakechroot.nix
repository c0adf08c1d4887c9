# Programs that want to be at their place, run in the image's own root.
{ pkgs, ... }:
pkgs.dockerTools.buildLayeredImage {
  name = "fakechroot";
  contents = [ pkgs.busybox ];
  enableFakechroot = true;
  fakeRootCommands = ''
    mkdir -p /var/lib/app /etc
    echo "root:x:0:0::/root:/bin/sh" > /etc/passwd
    echo "root:x:0:" > /etc/group
    /bin/busybox chown 5:6 /var/lib/app
  '';
  config.Cmd = [ "/bin/sh" ];
}
