# An image of a registry, by its lock file: a fixed-output derivation for the manifest and for each layer, and one that
# describes the image. The config's bytes are in the lock file, since they often name store paths.
#
# The output path of a blob depends on its digest alone: whatever image, registry or mirror it is for, it is fetched once.
{ runBuilder, arguments, blobs, image, caFile, zstdProgram, ... }:
{ lock, finalImageName, finalImageTag, mirrors, tlsVerify, meta }:
let
  inherit (builtins) elemAt fromJSON hasContext isAttrs isList isPath isString listToAttrs match pathExists readFile;
  fail = message: arguments.fail "pullImage" "`lock` ${message}: make it with `dockertools-py lock IMAGE > IMAGE.lock.json`.";

  parsed =
    if isAttrs lock && !(lock ? outPath) then lock
    else
      let
        path = if isString lock && !hasContext lock then /. + lock else lock;
        text = if isPath path && !pathExists path then fail "is ${toString path}, which is not there" else readFile path;
      in
      # What is no JSON at all, fromJSON says itself.
      if match "[[:space:]]*[{].*" text == null then fail "is no JSON object" else fromJSON text;
  isDescriptor = v: isAttrs v && isString (v.digest or null) && match "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}" v.digest != null;
  isLock = v: isString (v.image or null) && isDescriptor (v.manifest or null) && isDescriptor (v.config or null) && isString (v.config.data or null)
    && isList (v.layers or null) && builtins.all isDescriptor v.layers && isAttrs (v.container or null) && isAttrs (v.platform or null) && isString (v.name or null) && isString (v.tag or null);
  contents =
    if parsed.version or null != 1 then fail "is not of version 1"
    else if !isLock parsed then fail "lacks a part"
    else parsed;

  fetch = isManifest: descriptor:
    let parts = match "(.*):(.*)" descriptor.digest; in
    runBuilder {
      # Nothing but the digest: outputs of one name and one hash are one path.
      name = "blob-${builtins.substring 0 12 (elemAt parts 1)}";
      verb = "fetch_blob";
      fixed = { outputHashAlgo = elemAt parts 0; outputHash = elemAt parts 1; };
      spec = { inherit (contents) image; inherit descriptor isManifest mirrors tlsVerify caFile; };
    };
  manifest = fetch true contents.manifest;
  layers = map (fetch false) contents.layers;

  description = runBuilder {
    name = "image";
    verb = "pulled";
    near = true;
    spec = {
      manifest = "${manifest}";
      config = contents.config.data;
      files = listToAttrs (map (layer: { name = layer.digest; value = "${fetch false layer}"; }) contents.layers);
      inherit (contents) container platform;
      zstd = zstdProgram;
    };
  };
in
image {
  name = if finalImageName != null then finalImageName else contents.name;
  tag = if finalImageTag != null then finalImageTag else contents.tag;
  config = contents.container;
  inherit (contents) platform;
  inherit description layers meta;
  roots = [ ];
  copied = [ ];
  descriptions = [ description ];
  rootDescriptions = [ description ];
  bound = builtins.length contents.layers;
  blobsFor = { compressor, compressionLevel }: blobs { name = "pulled"; descriptions = [ description ]; inherit compressor compressionLevel; };
  # The registry's blobs, as they are.
  compressor = "none";
  compressionLevel = null;
}
// { blobs = { inherit manifest layers; }; inherit (contents) platform; lock = contents; }
