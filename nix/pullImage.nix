# pullImage: an image from a registry.
#
# Type: { lock, … } -> image | { imageName, imageDigest, hash | sha256 | outputHash + outputHashAlgo, … } -> archive
#
# With a lock file (`dockertools-py lock alpine:3.20 > alpine.lock.json`) each layer is a fixed-output derivation of its own,
# named by the digest that it has anyway: no other hash is needed, and what two images share is fetched and kept once. The
# result is an image as `build` makes them.
#
# Without one it is nixpkgs' call: one docker archive, whose hash must be known.
#
# Arguments:
#   lock                     the lock file, or what is in it as an attribute set
#   imageName, imageDigest   what to pull: a name with its registry, if that is not docker.io, and a digest
#   hash                     of the archive: SRI; or `sha256`, or `outputHash` and `outputHashAlgo`
#   sha256                   likewise, in any of Nix's forms
#   outputHash, outputHashAlgo
#   os, arch, variant        which image of an index, in Go's words; by default for Linux on the packages' processor
#   finalImageName           what the image is called then; by default as in the registry
#   finalImageTag            likewise; "latest" without a lock file
#   name                     of the derivation, without a lock file
#   mirrors                  hosts or URLs that are asked before the registry
#   tlsVerify                false: any certificate, and plain http
#   meta                     of the derivation
#
# Credentials, proxies and certificates come from the environment of Nix: see docs/reference.md.
#
# Example:
#   build { name = "app"; fromImage = pullImage { lock = ./alpine.lock.json; }; contents = [ hello ]; }
{ arguments, types, names, platform, pulledImage, pulledArchive, system, ... }:
let
  inherit (builtins) filter;
  fail = arguments.fail "pullImage";
  digest = {
    check = v: builtins.isString v && builtins.match "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}" v != null;
    rule = "a digest: \"sha256:\" and 64 hexadecimal digits";
  };
  # With `http://` where the registry speaks no TLS
  remoteName = {
    check = v: builtins.isString v && names.isName (builtins.replaceStrings [ "http://" "https://" ] [ "" "" ] v);
    rule = names.nameRule;
  };
  lockFile = { check = v: types.file.check v || builtins.isAttrs v; rule = "a lock file, as ./alpine.lock.json, made with `dockertools-py lock`"; };
  strings = { check = v: builtins.isList v && builtins.all builtins.isString v; rule = "a list of strings, as in [ \"https://mirror.example.org\" ]"; };

  # What goes with one way of calling only.
  withoutLock = [ "imageName" "imageDigest" "hash" "sha256" "outputHash" "outputHashAlgo" "os" "arch" "variant" "name" ];
in
arguments.declare "pullImage"
{
  lock = { type = types.nullOr lockFile; default = null; };
  imageName = { type = types.nullOr remoteName; default = null; };
  imageDigest = { type = types.nullOr digest; default = null; };
  hash = { type = types.nullOr types.string; default = null; };
  sha256 = { type = types.nullOr types.string; default = null; };
  outputHash = { type = types.nullOr types.string; default = null; };
  outputHashAlgo = { type = types.nullOr types.string; default = null; };
  os = { type = types.nullOr types.string; default = null; };
  arch = { type = types.nullOr types.string; default = null; };
  variant = { type = types.nullOr types.string; default = null; };
  finalImageName = { type = types.nullOr names.name; default = null; };
  finalImageTag = { type = types.nullOr names.tag; default = null; };
  name = { type = types.nullOr types.string; default = null; };
  mirrors = { type = strings; default = [ ]; };
  tlsVerify = { type = types.bool; default = true; };
  meta = { type = types.attrs; default = { }; };
}
  (args:
  let
    surplus = filter (argument: args.${argument} != null) withoutLock;
    hashes = filter (argument: args.${argument} != null) [ "hash" "sha256" "outputHash" ];
    hash = args.${builtins.head hashes};
    isSri = builtins.match "(sha256|sha512|sha1|md5)-.*" hash != null;
  in
  if args.lock != null then
    if surplus != [ ] then fail "both `lock` and `${builtins.head surplus}` are given: a lock file has it all; leave one of them out."
    else pulledImage { inherit (args) lock finalImageName finalImageTag mirrors tlsVerify meta; }
  else if args.imageName == null then fail "`lock` is missing: write lock = ${lockFile.rule}; or imageName, imageDigest and hash."
  else if args.imageDigest == null then fail "`imageDigest` is missing: write ${digest.rule}; a tag may mean another image tomorrow."
  else if hashes == [ ] then fail "`hash` is missing: write hash = \"\"; and the error of the build says which it is; or use `lock`, which needs none."
  else if builtins.length hashes > 1 then fail "both `${builtins.elemAt hashes 0}` and `${builtins.elemAt hashes 1}` are given: write one of them."
  else
    pulledArchive {
      inherit (args) imageName imageDigest mirrors tlsVerify meta;
      finalImageName = if args.finalImageName != null then args.finalImageName else builtins.replaceStrings [ "http://" "https://" ] [ "" "" ] args.imageName;
      finalImageTag = if args.finalImageTag != null then args.finalImageTag else "latest";
      derivationName = args.name;
      outputHash = hash;
      outputHashAlgo =
        if args.outputHash != null && args.outputHashAlgo != null then args.outputHashAlgo
        else if isSri then null
        else "sha256";
      platform = platform.make args.arch args.variant system // (if args.os == null then { } else { inherit (args) os; });
    })
