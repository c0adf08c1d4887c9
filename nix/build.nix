# build: an image of packages, of a root file system tar, on top of another image, or all of that.
#
# Type: { name, … } -> image, a derivation whose output `docker load`, `podman load` and `ctr image import` take
#
# Arguments:
#   name              image name, with registry or without; lower-cased
#   tag               null: the hash of what is in the image
#   fromImage         the base: an image of ours, or any docker archive, OCI archive or OCI layout
#   fromImageName     which image of an archive of several …
#   fromImageTag      … and its tag
#   inheritConfig     what of the base's config is inherited: "all", "env", "none", or a list of keys
#   allowPlatformMismatch
#                     whether the base may be for another platform
#   addTarball        root file system tars, of mkTarball or of anything else: one or a list
#   contents          packages whose files appear at `/` as links into the store
#   copyToRoot        packages whose files are copied to `/`
#   keepContentsDirlinks
#                     whether a link to a directory in these packages stays one; false: a directory of what is in it
#   config            how a container is started (OCI image spec, config.md): the closure of all that it mentions is in the image
#   layers            packages, or lists of them, that get layers of their own below the others; nothing of them at `/`
#   runAsRoot         a bash script that runs as root, with the base and all packages' files as its `/`; runs first
#   extraCommands     a bash script that runs in the tree of `contents` and `copyToRoot`, as the build user
#   fakeRootCommands  the same as root, so that it can give files away; runs last
#   enableFakechroot  whether `/` is the image's for fakeRootCommands, the base included
#   rootMode          how they are root: "emulated" on any builder, or "uid-range" by ids that Nix gives, where it may
#   users, groups     users and groups that the image has, by name: { app = { uid = 1000; }; }
#   perms             modes, owners and capabilities: [ { path = "/var/lib/app"; mode = "0750"; uname = "app"; } ]
#   rootfs            what programs expect: "minimal" for /tmp, /var/empty, passwd and group, certificates, /usr/bin/env, /bin/sh;
#                     or a set that switches some of them off; what the base has of it stays
#   includeNixDB      whether the image has Nix's database of its store paths, for Nix in a container
#   created           a date like "1970-01-01T00:00:01Z"; never in a layer
#   architecture      in Go's words, by default that of the packages; variant likewise
#   uid, gid, mtime   of all files in the layers
#   maxLayers         layers at the most, the base's included; null: 40 for packages, as far as 125 are not exceeded
#   layeringPipeline  operations that say what goes in which layer, or a file with them as JSON; then maxLayers is of no meaning
#   debug             whether the build says which store paths are the biggest
#   compressor        of the layers in the archive: "gz", "zstd" or "none"; the image id does not depend on it
#   compressionLevel  null: 2 for gz, 3 for zstd
#   meta              of the derivation
#
# Each root (an item of `layers` and `contents`, a path that `config` mentions) has a derivation for its layers: put what
# changes most last.
#
# Example:
#   build { name = "hello"; contents = [ hello ]; config.Cmd = [ "/bin/hello" ]; }
scope@{ function ? "build", special ? { }, arguments, imageArguments, types, names, containerConfig, mentioned, platform, runBuilder, baseImage, blobs, files, image, nixDatabase, noBase, owners, packageLayers, rootfs, rootLayer, scriptCheck, scriptLayer, tarLayer, system, ... }:
arguments.declare function
(imageArguments.ofResult // owners.parameters // {
  fromImage = { type = types.nullOr types.file; default = null; };
  fromImageName = { type = types.nullOr types.string; default = null; };
  inheritConfig = { type = types.inheritance; default = "all"; };
  allowPlatformMismatch = { type = types.bool; default = false; };
  fromImageTag = { type = types.nullOr types.string; default = null; };
  addTarball = { type = types.nullOr types.files; default = null; };
  contents = { type = types.packages; default = [ ]; };
  copyToRoot = { type = types.packages; default = [ ]; };
  keepContentsDirlinks = { type = types.bool; default = true; };
  config = { type = types.any; default = { }; };
  layers = { type = types.layers; default = [ ]; };
  runAsRoot = { type = types.nullOr types.string; default = null; };
  extraCommands = { type = types.string; default = ""; };
  fakeRootCommands = { type = types.string; default = ""; };
  enableFakechroot = { type = types.bool; default = false; };
  rootMode = { type = types.oneOf [ "emulated" "uid-range" ]; default = "emulated"; };
  rootfs = { inherit (rootfs) type; default = null; };
  layeringPipeline = { type = types.nullOr (types.either types.list types.file); default = null; };
  debug = { type = types.bool; default = false; };
  includeNixDB = { type = types.bool; default = false; };
  architecture = { type = types.nullOr types.architecture; default = null; };
  variant = { type = types.nullOr types.string; default = null; };
  uid = { type = types.natural; default = 0; };
  gid = { type = types.natural; default = 0; };
  mtime = { type = types.natural; default = 1; };
  maxLayers = { type = types.nullOr (types.between 1 125); default = null; };
})
  (args:
  let
    inherit (builtins) concatLists concatMap filter length partition;
    inherit (types) toList;
    owner = special.storeOwner or [ args.uid args.gid ];
    rootOwner = special.rootOwner or [ args.uid args.gid ];
    inherit (args) mtime compressor;

    config = containerConfig function args.config;
    imagePlatform = platform.make args.architecture args.variant system;
    compressionLevel = scope.compressionLevel function compressor args.compressionLevel;

    hasBase = args.fromImage != null;
    base = if !hasBase then noBase else baseImage { inherit function; argument = "fromImage"; from = args.fromImage; imageName = args.fromImageName; imageTag = args.fromImageTag; platform = imagePlatform; };
    fitting =
      if args.allowPlatformMismatch || base.platform == null || platform.mayRunOn imagePlatform base.platform then null
      else arguments.fail function "`fromImage` is for ${platform.show base.platform}, the image for ${platform.show imagePlatform}: give `architecture`, a base for the same platform, or `allowPlatformMismatch = true`.";

    bases = if hasBase then [ base.description ] else [ ];

    # A tar of ours is known by what it holds, so that nothing which the base has is added again.
    tarballs = partition (tarball: tarball ? dockertoolsTarball) (toList args.addTarball);
    ofTarballs = attribute: concatMap (tarball: tarball.dockertoolsTarball.${attribute}) tarballs.right;
    tarLayers = map (tarball: tarLayer (files.inStore function "addTarball" tarball)) tarballs.wrong;

    plain = builtins.unsafeDiscardStringContext;
    paths = argument: packages: map (files.inStore function argument) (toList packages);
    preset = rootfs.make function args.rootfs;
    shown = partition (package: package.dockertoolsHelper or false) (preset.contents ++ toList args.contents);
    helpers = paths "contents" shown.right;
    given = paths "contents" args.contents;
    defaults = filter (path: !among given path) (paths "rootfs" preset.contents);
    links = ofTarballs "contents" ++ helpers ++ paths "contents" shown.wrong;
    copies = ofTarballs "copyToRoot" ++ paths "copyToRoot" args.copyToRoot;
    explicit = map (paths "layers") args.layers;
    wanted = owners.make function {
      inherit (args) users groups perms;
      presets = preset.perms;
      # nixpkgs' functions ask nobody.
      user = if function == "build" then config.User or "" else "";
      isAlone = !hasBase && links == [ ] && copies == [ ] && tarLayers == [ ] && !hasScript;
      below = filter (one: one != null) (map (tarball: tarball.dockertoolsTarball.owners) tarballs.right);
    };
    inConfig = mentioned [ config (if wanted == null then [ ] else wanted.users) ];
    # Of what is copied the closure is needed, but the package itself only where something refers to it.
    among = paths: let all = map plain paths; in path: builtins.elem (plain path) all;
    isWanted = among (links ++ inConfig ++ concatLists explicit ++ filter (path: !among base.copied path) base.roots);
    copied = filter (path: !isWanted path) (base.copied ++ copies);
    hasStorePaths = special.includeStorePaths or true;
    groups =
      if !hasStorePaths then [ ]
      else filter (roots: roots != [ ]) (explicit ++ [ helpers ] ++ map (root: [ root ]) (filter (path: !among helpers path) links ++ copies ++ inConfig));

    scripts = { inherit (args) runAsRoot extraCommands fakeRootCommands enableFakechroot; };
    isAsRoot = args.runAsRoot != null || args.fakeRootCommands != "";
    hasScript = isAsRoot || args.extraCommands != "";
    rootFiles = {
      inherit links copies mtime;
      owner = rootOwner;
      owners = wanted;
      inherit (args) keepContentsDirlinks;
      below = base.rootDescriptions ++ tarLayers;
      defaults = if rootFiles.below == [ ] then [ ] else map plain defaults;
    };
    scripted = rootFiles // { inherit scripts; inherit (args) rootMode; stack = bases ++ tarLayers; };
    hasRoot = links != [ ] || copies != [ ] || hasScript || (wanted != null && (wanted.users ++ wanted.groups ++ wanted.perms) != [ ]);
    root =
      if isAsRoot then [ (scriptLayer scripted) ]
      else if hasRoot then [ (rootLayer (rootFiles // { inherit (args) extraCommands; })) ]
      else [ ];
    # What the result of a script refers to is in the image too: Nix knows it from the layer, as of any output.
    referring = if hasStorePaths && (isAsRoot || builtins.hasContext args.extraCommands) then map toString root else [ ];

    packages = packageLayers {
      inherit function base hasBase groups referring copied isWanted owner mtime;
      inherit (args) maxLayers;
      counted = special.counted or null;
      others = length tarLayers + length root + length referring + (if args.includeNixDB then 1 else 0);
      pipeline = if args.layeringPipeline == null || builtins.isList args.layeringPipeline then args.layeringPipeline else files.inStore function "layeringPipeline" args.layeringPipeline;
    };
    roots = base.roots ++ concatLists groups ++ referring;
    below = base.rootDescriptions ++ tarLayers ++ root;
    database = if !args.includeNixDB then [ ] else [
      (nixDatabase {
        inherit roots below owner mtime;
        stack = base.stack ++ tarLayers ++ packages.layers ++ packages.referred ++ root;
      })
    ];
    layers = tarLayers ++ packages.layers ++ packages.referred ++ root ++ database;

    description = runBuilder ({ name = "image"; near = true; } // described);
    described = {
      verb = "image";
      spec = {
        inherit bases;
        base = hasBase;
        inherit layers config;
        inherit (args) created inheritConfig;
        allowPlatform = args.allowPlatformMismatch;
        platform = imagePlatform;
      };
      graphs = if args.debug && roots != [ ] then { closure = roots; } else { };
    };
  in
  # Checked at once, though without a layer nobody compresses, and nobody looks at users or platform.
  builtins.seq compressionLevel (builtins.seq wanted (builtins.seq fitting (image (special.names or { } // {
    inherit (args) name tag meta;
    inherit description described layers compressor compressionLevel;
    platform = imagePlatform;
    config = scope.inheritConfig (scope.inheritConfig.select args.inheritConfig base.config) config;
    inherit copied roots;
    descriptions = base.descriptions ++ tarLayers;
    rootDescriptions = below ++ database;
    inherit (packages) bound;
    stack = base.stack ++ layers;
    blobsFor = how:
      base.blobsFor how ++ concatMap (layer: blobs (how // { name = builtins.unsafeDiscardStringContext (layer.name or "layers"); descriptions = [ layer ]; })) layers;
  }) // (if isAsRoot then { scriptCheck = scriptCheck scripted; } else { })))))
