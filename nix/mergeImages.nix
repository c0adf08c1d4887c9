# mergeImages: independent images as one image, or several in one archive.
#
# Type: { name, image1, image2 } | { name, baseImage, image } | { name, images } -> image
#       [ image ] -> a derivation whose output is an archive of all of them
#
# The set forms compose: the result has the layers of all images, each layer and each store path once, and their configs
# merged left to right (Env by name, maps merged, otherwise the last that says something). Layers are copied as they are; only
# one that holds some paths twice is made again without them. Users and groups are merged by name, in a layer on top.
#
# Arguments:
#   name, tag, created, compressor, compressionLevel, meta    as of build
#   image1, image2 | baseImage, image | images                the images, lowest first
#   config                                                    on top of the merged one
#   allowOverride                                             whether an image may change what a path of a lower one shows;
#                                                             an error otherwise
#
# Example:
#   mergeImages { name = "bash-python"; image1 = bash-image; image2 = just-python; }
#   mergeImages [ redis-image nginx-image ]
scope@{ arguments, imageArguments, types, names, containerConfig, mentioned, runBuilder, baseImage, blobs, image, layerGroups, zstdProgram, ... }:
let
  inherit (builtins) concatLists concatMap elemAt filter foldl' genList head isList length map;

  bundle = from:
    let
      image = from:
        if !types.file.check from then arguments.wrong "mergeImages" "images" from types.file.rule
        else baseImage { function = "mergeImages"; argument = "images"; all = true; inherit from; };
      images = map image from;
    in
    if from == [ ] then arguments.fail "mergeImages" "the list is empty: write [ image … ]."
    else runBuilder {
      name = "merge-docker-images"; # as nixpkgs calls it
      verb = "archive";
      near = true;
      forget = true;
      spec = {
        images = map (one: if one.references == null then { all = one.description; } else { image = one.description; inherit (one) references; }) images;
        format = "archive";
        # As each image says; what others made is copied as it is.
        blobs = concatMap (one: if one.references == null then [ ] else one.blobsFor one.compression) images;
      };
    };

  compose = arguments.declare "mergeImages"
    (imageArguments.ofResult // {
      baseImage = { type = types.nullOr types.file; default = null; };
      image = { type = types.nullOr types.file; default = null; };
      image1 = { type = types.nullOr types.file; default = null; };
      image2 = { type = types.nullOr types.file; default = null; };
      images = { type = types.nullOr { check = v: isList v && builtins.all types.file.check v; rule = "a list of images"; }; default = null; };
      config = { type = types.any; default = { }; };
      allowOverride = { type = types.bool; default = false; };
    })
    (args:
    let
      # Each form that is used, as the arguments of its images: [ { argument; from; } ]
      present = names: filter (part: part.from != null) (map (argument: { inherit argument; from = args.${argument}; }) names);
      forms = filter (form: form != [ ]) [
        (present [ "baseImage" "image" ])
        (present [ "image1" "image2" ])
        (map (from: { argument = "images"; inherit from; }) (types.toList args.images))
      ];
      given =
        if length forms != 1 then arguments.fail "mergeImages" "${if forms == [ ] then "no image is given" else "${toString (length forms)} of its forms at once"}: write image1 and image2, or baseImage and image, or images = [ … ]."
        else head forms;
      parts =
        if length given < 2 && args.images == null then arguments.fail "mergeImages" "only one image is given: write two, or images = [ … ]."
        else map (part: baseImage (part // { function = "mergeImages"; })) given;

      config = containerConfig "mergeImages" args.config;
      compressionLevel = scope.compressionLevel "mergeImages" args.compressor args.compressionLevel;
      roots = concatMap (part: part.roots) parts;
      # What one image only copies may be whole in another, or be mentioned.
      plain = builtins.unsafeDiscardStringContext;
      among = paths: let all = map plain paths; in path: builtins.elem (plain path) all;
      whole = concatMap (part: filter (path: !among part.copied path) part.roots) parts;
      copiedBelow = filter (path: !among whole path) (concatMap (part: part.copied) parts);
      copied = filter (path: !among (mentioned config) path) copiedBelow;
      descriptions = concatMap (part: part.descriptions) parts;
      inConfig = layerGroups {
        groups = map (root: [ root ]) (mentioned config);
        below = roots;
        inherit copied copiedBelow descriptions;
        shares = map (_: 1) (mentioned config);
        owner = [ 0 0 ];
        mtime = 1;
      };
      nameOf = index: part: if part.references == null then "image ${toString (index + 1)}" else head part.references;
      # Whether they get along outside the store, and a layer with the users and groups of all where they have different ones.
      root = runBuilder {
        name = "merged-root";
        verb = "merged_root";
        near = true;
        spec = {
          inherit (args) allowOverride;
          places = map (part: part.rootDescriptions) parts;
          names = genList (index: nameOf index (elemAt parts index)) (length parts);
          zstd = zstdProgram;
        };
      };
      merged = runBuilder {
        name = "image";
        verb = "merge";
        near = true;
        spec = {
          images = map (part: part.description) parts;
          layers = [ root ] ++ inConfig;
          inherit config;
          inherit (args) allowOverride created;
          names = genList (index: nameOf index (elemAt parts index)) (length parts);
        };
      };
    in
    builtins.seq compressionLevel (image {
      inherit (args) name tag meta compressor;
      inherit compressionLevel;
      config = foldl' scope.inheritConfig { } (map (part: part.config) parts ++ [ config ]);
      inherit (head parts) platform;
      description = merged;
      layers = [ merged ];
      roots = roots ++ mentioned config;
      inherit copied descriptions;
      rootDescriptions = concatMap (part: part.rootDescriptions) parts ++ [ root ];
      bound = foldl' (sum: part: sum + part.bound) 0 parts + 1 + length inConfig;
      blobsFor = how:
        concatMap (part: part.blobsFor how) parts
        ++ blobs (how // { name = "merged"; descriptions = [ merged ]; except = map (part: part.description) parts; });
    }));
in
argument: if isList argument then bundle argument else compose argument
