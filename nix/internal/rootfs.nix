# What programs expect of any root file system, for the argument `rootfs`: a preset, of which each part can be switched.
#
#   type   "minimal" for all, or a set: what it names and leaves out is as in "minimal"
#   make   function name -> value -> { contents; perms; } for `build`
#
#     tmp            /tmp, mode 1777
#     varEmpty       /var/empty, mode 0555: the home of who has none
#     nss            /etc/passwd, /etc/group and /etc/nsswitch.conf, of fakeNss
#     certificates   of caCertificates
#     usrBinEnv      /usr/bin/env
#     binSh          /bin/sh
scope@{ types, ... }:
let
  record = import ./record.nix;
  inherit (builtins) attrNames concatMap filter isAttrs listToAttrs mapAttrs;
  directory = path: mode: { perms = [{ inherit path mode; create = "directory"; }]; };
  package = file: { contents = [ (import file scope) ]; };
  parts = {
    tmp = directory "/tmp" "1777";
    varEmpty = directory "/var/empty" "0555";
    nss = package ../fakeNss.nix;
    certificates = package ../caCertificates.nix;
    usrBinEnv = package ../usrBinEnv.nix;
    binSh = package ../binSh.nix;
  };
  fields = mapAttrs (_: _: { type = types.bool; default = true; }) parts;
in
{
  type = {
    check = v: v == null || v == "minimal" || (isAttrs v && !(v ? outPath));
    rule = "null, \"minimal\", or a set such as { certificates = false; }";
  };

  make = function: value:
    let
      isOn = if value == null then mapAttrs (_: _: false) parts else record function "rootfs" fields (if isAttrs value then value else { });
      chosen = filter (name: isOn.${name}) (attrNames parts);
      all = key: concatMap (name: parts.${name}.${key} or [ ]) chosen;
    in
    { contents = all "contents"; perms = all "perms"; };
}
