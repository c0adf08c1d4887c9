# fakeNss: /etc/passwd and /etc/group with root and nobody, nsswitch.conf, and /var/empty: for programs that ask who they are.
#
# Type: a package for `contents`, with `.override`
#
# Arguments: of `.override`
#   extraPasswdLines    further lines of /etc/passwd, after root's
#   extraGroupLines     further lines of /etc/group, likewise
#
# Example:
#   build { name = "app"; contents = [ (fakeNss.override { extraPasswdLines = [ "app:x:1000:1000::/:/bin/sh" ]; }) ]; }
{ arguments, types, fileTree, ... }:
let
  lines = { type = types.strings; default = [ ]; };
  text = builtins.concatStringsSep "\n";
in
arguments.declare "fakeNss" { extraPasswdLines = lines; extraGroupLines = lines; }
  (args: fileTree {
    name = "fake-nss";
    texts = {
      "etc/passwd" = text ([ "root:x:0:0:root user:/var/empty:/bin/sh" ] ++ args.extraPasswdLines ++ [ "nobody:x:65534:65534:nobody:/var/empty:/bin/sh" "" ]);
      "etc/group" = text ([ "root:x:0:" ] ++ args.extraGroupLines ++ [ "nobody:x:65534:" "" ]);
      "etc/nsswitch.conf" = "hosts: files dns\n";
    };
    directories = [ "var/empty" ];
  })
{ }
