# An image of a registry as one docker archive, by nixpkgs' arguments: a single fixed-output derivation.
{ runBuilder, names, caFile, zstdProgram, ... }:
{ imageName, imageDigest, finalImageName, finalImageTag, derivationName, outputHash, outputHashAlgo, platform, mirrors, tlsVerify, meta }:
let
  safe = builtins.replaceStrings [ "/" ":" ] [ "-" "-" ];
  name = names.lower finalImageName;
in
runBuilder
  {
    name = if derivationName != null then derivationName else safe "docker-image-${name}-${finalImageTag}.tar";
    verb = "fetch_archive";
    fixed = { inherit outputHash; } // (if outputHashAlgo == null then { } else { inherit outputHashAlgo; });
    spec = {
      image = "${imageName}@${imageDigest}";
      inherit platform mirrors tlsVerify caFile name;
      tag = finalImageTag;
      zstd = zstdProgram;
    };
    inherit meta;
  } // {
  imageName = name;
  imageTag = finalImageTag;
  imageRef = "${name}:${finalImageTag}";
  inherit imageDigest;
}
