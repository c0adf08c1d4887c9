# Images of nixpkgs' functions for the engines, in one folder: what the NixOS test of nixpkgs' dockerTools looks at.
{ pkgs, dockerTools, ... }:
with pkgs;
with dockerTools;
let
  shell = script: [ "/bin/sh" "-c" script ];
  target = writeTextDir "dir/target" "the target\n";
  base = buildLayeredImage { name = "base"; tag = "1"; contents = [ busybox ]; config.Env = [ "A=1" "B=1" "PATH=/bin" ]; };
  on = name: contents: buildLayeredImage { inherit name contents; tag = "1"; fromImage = base; config.Env = [ "B=2" "A=1" ]; maxLayers = 5; };
  withNix = buildImageWithNixDb {
    name = "nix";
    tag = "plain";
    copyToRoot = buildEnv { name = "root"; paths = [ nix bash coreutils ]; pathsToLink = [ "/bin" ]; };
    config.Env = [ "PATH=/bin" "USER=root" "HOME=/root" "NIX_CONFIG=build-users-group =" ];
  };
  withApp = fakeNss.override { extraPasswdLines = [ "app:x:1000:1000::/home/app:/bin/sh" ]; extraGroupLines = [ "app:x:1000:" ]; };
  fillEtc = import ./etc.nix { inherit pkgs; };
  showEtc = [
    (writeScript "show-etc" ''
      #!${busybox}/bin/sh
      PATH=${busybox}/bin
      cd /etc
      for file in motd app app/conf.d app/conf.d/one app/key localtime; do
        stat -c "$file %a %u:%g $(readlink $file)" $file
      done
      readlink static
      cat motd app/conf.d/one app/key
      grep -q localhost hosts && echo engines put their own hosts in place
      ls -A app app/conf.d
    '')
  ];
  one = buildLayeredImage { name = "one"; tag = "1"; contents = [ busybox ]; compressor = "none"; };

  images = {
    # registry prefix, capitals, gzip, what scripts quote (nixpkgs #34779), chown by root
    plain = buildImage {
      name = "registry.example.org/team/Plain";
      tag = "Tag-1.0";
      copyToRoot = [ busybox ];
      runAsRoot = ''
        mkdir /data
        echo 'it is "quoted" $HOME \n' > /data/quoted
        chown -R 1000:100 /data
      '';
      extraCommands = ''echo "1 'and' 2" > extra'';
      config.Cmd = shell "cat /data/quoted /extra; stat -c '%u %g' /data";
    };
    with-store = buildLayeredImage { name = "with-store"; contents = [ hello ]; config.Cmd = [ "/bin/hello" ]; maxLayers = 2; };
    without-store = buildLayeredImage {
      name = "without-store"; tag = "1"; contents = [ hello ]; includeStorePaths = false; copyToRoot = [ busybox ]; config.Cmd = [ "/bin/hello" ];
    };
    inherit base;
    child = on "child" [ (writeTextDir "etc/child" "child\n") ];
    sibling = on "sibling" [ (writeTextDir "etc/sibling" "sibling\n") ];
    now = buildImage { name = "now"; tag = "1"; created = "now"; copyToRoot = [ busybox ]; };
    nix-plain = withNix;
    nix-layered = buildLayeredImageWithNixDb { name = "nix"; tag = "layered"; fromImage = withNix; contents = [ hello ]; };
    arm = buildImage { name = "arm"; tag = "1"; architecture = "arm64"; copyToRoot = [ (writeTextDir "a" "a") ]; };
    users = buildLayeredImage {
      name = "users";
      tag = "1";
      contents = [ busybox caCertificates withApp ];
      fakeRootCommands = "install -d -m 700 -o 1000 -g 1000 home/app";
      config = { User = "app"; WorkingDir = "/home/app"; };
    };
    fakechroot = buildLayeredImage {
      name = "fakechroot";
      tag = "1";
      contents = [ busybox ];
      enableFakechroot = true;
      fakeRootCommands = "mkdir /srv; echo in the root > /srv/file; chown 5:6 /srv/file";
      config.Cmd = shell "cat /srv/file; stat -c '%u %g' /srv/file";
    };
    symlink = buildLayeredImage {
      name = "symlink"; tag = "1"; contents = [ busybox (runCommand "link" { } "ln -s ${target} $out") ];
    };
    nix-shell = buildNixShellImage {
      drv = runCommand "work" { greeting = "hello"; shellHook = "hooked=yes"; } "echo $greeting > $out";
      tag = "1";
      run = "echo $greeting $hooked $HOME; buildDerivation && read -r x < $out && echo $x";
    };
    minimal = buildLayeredImage { name = "minimal"; tag = "1"; contents = [ coreutils ]; rootfs = "minimal"; };
    # by each way to be root
    etc-layered = buildLayeredImage {
      name = "etc"; tag = "layered"; contents = [ withApp ]; enableFakechroot = true; fakeRootCommands = fillEtc; config.Cmd = showEtc;
    };
    etc-plain = buildImage { name = "etc"; tag = "plain"; copyToRoot = [ withApp ]; runAsRoot = fillEtc; config.Cmd = showEtc; };
    # several compressors, a tag that is the hash
    merged = mergeImages [ one (buildImage { name = "two"; copyToRoot = [ busybox ]; compressor = "zstd"; }) (streamLayeredImage { name = "three"; tag = "3"; contents = [ busybox ]; }) ];
  };
in
linkFarm "dropin" (builtins.attrValues (builtins.mapAttrs (name: path: { inherit name path; }) images))
