# What an image of ours looks like to its user: the archive, with every other form of it as an attribute, all lazy.
#
#   name, tag             as the user gave them
#   fileName              of its files, by default the last part of the name
#   description           the derivation that describes the image
#   described             how that is made, where it is small and quick: executables bring their own then
#   roots copied descriptions rootDescriptions bound blobsFor
#                         for images on top of this one, see dockertoolsImage below
#   platform              null where only the build knows it
#   stack                 derivations which describe its layers, the base's included: to be counted
#   config                with what is inherited from images of ours; what a foreign base has is known only to the build
{ runBuilder, executable, lazy, names, zstdProgram, caFile, ... }:
{ name, tag, description, described ? null, config, layers, platform ? null, stack ? [ description ], roots, copied, descriptions, rootDescriptions, bound, blobsFor, compressor, compressionLevel, meta, fileName ? names.baseName (names.lower name) }:
let
  inherit (builtins) concatMap unsafeDiscardStringContext;
  imageName = names.lower name;
  imageTag = if tag == null then names.hashOf description else tag;
  imageRef = "${imageName}:${imageTag}";
  images = [{ image = description; references = [ imageRef ]; }];

  write = suffix: format: runBuilder {
    name = "docker-image-${fileName}${suffix}";
    verb = "archive";
    near = true;
    spec = { inherit images format blobs; };
    forget = true;
    inherit meta;
  };

  archive = write ".tar" "archive";

  # An executable that runs the command line with some words, and with what it is given itself.
  script = suffix: arguments: executable { name = "${suffix}-${fileName}"; inherit arguments; };
  onDescription = suffix: arguments:
    if described == null then script suffix (arguments ++ named ++ [ "${description}" ])
    else executable { name = "${suffix}-${fileName}"; arguments = arguments ++ named; inherit described; };
  named = [ "--default-tag" imageRef ];
  # A base may have layers in zstd, and engines are sent uncompressed ones.
  zstd = if zstdProgram == null then [ ] else [ "--zstd" zstdProgram ];
  pushed = zstd
    ++ (if compressor == "none" then [ ] else [ "--compressor" compressor "--level" (toString compressionLevel) ])
    ++ (if caFile == null then [ ] else [ "--default-ca-file" caFile ])
    ++ [ "--default-reference" imageRef ];
  blobs = blobsFor { inherit compressor compressionLevel; };
in
archive // {
  inherit imageName imageTag imageRef config description layers;
  archive = archive;
  oci = write "-oci" "layout";
  ociArchive = write "-oci.tar" "oci-archive";
  # An executable that writes the archive to standard output; nothing of it is in the store.
  stream = onDescription "stream" [ "stream" ];
  # … that brings it into Docker, Podman or containerd: of its layers those that are not there.
  load = onDescription "load" ([ "load" ] ++ zstd);
  # … that does so and runs a container, whose arguments it is given.
  run = onDescription "run" ([ "run" ] ++ zstd);
  # … that sends what is missing to a registry. Layers compressed as the archive has them are taken where Nix has made them
  # anyway: to push, none are built.
  push = script "push" ([ "push" ]
    ++ concatMap (folder: [ "--blobs" (unsafeDiscardStringContext "${folder}") ]) blobs
    ++ pushed ++ [ "${description}" ]);
  # Both for a machine that has nothing of the image.
  inherit (lazy { inherit fileName description blobs; push = pushed; load = zstd ++ named; }) lazyPush lazyLoad;
  dockertoolsImage = {
    inherit description; # image.json and config.json
    inherit roots; # store paths whose closures are in it whole …
    inherit copied; # … but for these themselves, where nothing refers to them
    inherit descriptions; # further store paths in it, as descriptions of layers
    inherit stack; # its layers, without what else an image says
    inherit rootDescriptions; # what is in it outside the store, lowest first
    inherit config;
    inherit platform; # null where only the build knows it
    inherit bound; # layers at the most, as far as evaluation can know
    inherit blobsFor; # { compressor, compressionLevel } -> derivations with its layers compressed
    compression = { inherit compressor compressionLevel; }; # of its own archive
    references = [ imageRef ];
  };
}
