# buildIndex: images for several platforms under one name.
#
# Type: { images = { platform = image; … }; … } -> an index, a derivation whose output `docker load` and the others take
#
# Arguments:
#   images            by platform, `os/architecture` or `os/architecture/variant` in Go's words: images of ours, or files as
#                     for `fromImage`
#   name              of the index; null: that of the first image
#   tag               null: the hash of what is in the index
#   annotations       of the index (OCI image spec, annotations.md)
#   meta              of the derivation
#
# The images stay as they are: nothing of them is described, compressed or stored again, and each keeps the manifest that it
# has in its own archive. Which image it is for is checked.
#
# Example:
#   buildIndex { name = "hello"; images = { "linux/amd64" = hello-amd64; "linux/arm64/v8" = hello-arm64; }; }
scope@{ arguments, types, names, runBuilder, executable, lazy, baseImage, platform, zstdProgram, caFile, system, ... }:
arguments.declare "buildIndex"
{
  images = { type = types.attrs; };
  name = { type = types.nullOr names.name; default = null; };
  tag = { type = names.tag; default = null; };
  annotations = { type = types.attrs; default = { }; };
  meta = { type = types.attrs; default = { }; };
}
  (args:
  let
    inherit (builtins) attrNames concatMap head isString map match unsafeDiscardStringContext;
    fail = arguments.fail "buildIndex";

    parse = name:
      let parts = match "([a-z0-9]+)/([a-z0-9_]+)(/([a-z0-9]+))?" name; part = builtins.elemAt parts; in
      if parts == null || !types.architecture.check (part 1) then fail "`images` has ${arguments.show name}: write platforms in Go's words, such as \"linux/amd64\" or \"linux/arm64/v8\"."
      else { os = part 0; architecture = part 1; } // (if part 3 == null then { } else { variant = part 3; });

    child = name:
      let
        from = args.images.${name};
        own = parse name;
      in
      if !types.file.check from then arguments.wrong "buildIndex" "images.\"${name}\"" from "an image, or ${types.file.rule}"
      else { inherit name from; platform = own; image = baseImage { function = "buildIndex"; argument = "images.\"${name}\""; inherit from; platform = own; }; };
    children =
      if args.images == { } then fail "`images` is { }: write at least one, as in { \"linux/amd64\" = image; }."
      else map child (attrNames args.images);

    annotations = builtins.mapAttrs
      (key: value: if isString value then value else arguments.wrong "buildIndex" "annotations.\"${key}\"" value "a string")
      args.annotations;

    first = (head children).from;
    imageName =
      if args.name != null then names.lower args.name
      else first.imageName or (fail "`name` is missing: the first image is a file, which has none for it.");
    imageTag = if args.tag == null then names.hashOf description else args.tag;
    imageRef = "${imageName}:${imageTag}";
    fileName = names.baseName imageName;

    # What is a file already is compressed as it is.
    compressionOf = child: child.image.compression or { compressor = "none"; compressionLevel = 0; };
    compressions = map compressionOf children;
    blobs = concatMap (child: child.image.blobsFor (compressionOf child)) children;

    description = runBuilder {
      name = "index";
      verb = "index";
      near = true;
      spec = {
        platforms = map (child: { inherit (child) name platform; image = child.image.description; }) children;
        inherit annotations;
      };
    };

    write = suffix: format: runBuilder {
      name = "docker-image-${fileName}${suffix}";
      verb = "index_archive";
      near = true;
      spec = { index = [ description ]; references = [ imageRef ]; native = platform.make null null system; inherit blobs format; };
      forget = true;
      inherit (args) meta;
    };
    archive = write ".tar" "archive";

    isOne = builtins.all (compression: compression == head compressions) compressions && (head compressions).compressor != "none";
    pushed =
      (if isOne then [ "--compressor" (head compressions).compressor "--level" (toString (head compressions).compressionLevel) ] else [ ])
      ++ (if caFile == null then [ ] else [ "--default-ca-file" caFile ])
      ++ zstd
      ++ [ "--default-reference" imageRef ];
    # The image for the engine, under the name of the index.
    loaded = zstd ++ [ "--default-tag" imageRef ];
    zstd = if zstdProgram == null then [ ] else [ "--zstd" zstdProgram ];
    forEngine = verb: executable { name = "${verb}-${fileName}"; arguments = [ verb ] ++ loaded ++ [ "${description}" ]; };
  in
  builtins.deepSeq annotations (archive // {
    inherit imageName imageTag imageRef description archive;
    inherit (args) images;
    oci = write "-oci" "layout";
    ociArchive = write "-oci.tar" "oci-archive";
    push = executable {
      name = "push-${fileName}";
      arguments = [ "push" ]
        ++ concatMap (folder: [ "--blobs" (unsafeDiscardStringContext "${folder}") ]) blobs
        ++ pushed ++ [ "${description}" ];
    };
    load = forEngine "load";
    run = forEngine "run";
    inherit (lazy { inherit fileName description blobs; push = pushed; load = loaded; }) lazyPush lazyLoad;
  }))
