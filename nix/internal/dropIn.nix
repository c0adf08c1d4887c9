# What the functions of nixpkgs' dockerTools have in common: their arguments, and the shape of what they return.
#
# They are shells over `build`: each gives it what nixpkgs' arguments mean, and puts nixpkgs' name, form and passthru on the
# result. What `build` has beyond nixpkgs they take as well, with the default that changes nothing.
scope@{ owners, rootfs, imageArguments, types, names, containerConfig, runBuilder, program, python3, bash, zstdProgram, ... }:
let
  inherit (builtins) attrNames elem filter head isAttrs listToAttrs;
  date = import ./date.nix;
  optional = type: default: { inherit type default; };

  # `EntryPoint`, `env`: engines read JSON without regard to case, so these images work, and are written so.
  canonical = config:
    let
      known = key: filter (name: names.lower name == names.lower key) containerConfig.keys;
      rename = key: let found = known key; in if elem key containerConfig.keys || found == [ ] then key else head found;
    in
    if config == null then { }
    else if !isAttrs config then config
    else listToAttrs (map (key: { name = rename key; value = config.${key}; }) (attrNames config));
  textOf = text: if text == null then "" else text;
in
{
  inherit canonical;

  # Of all functions that build an image
  arguments = imageArguments.ofResult // owners.parameters // {
    created = optional date.orNow "1970-01-01T00:00:01Z";
    fromImage = optional (types.nullOr types.file) null;
    fromImageName = optional (types.nullOr types.string) null;
    fromImageTag = optional (types.nullOr types.string) null;
    inheritConfig = optional types.inheritance "env";
    allowPlatformMismatch = optional types.bool false;
    contents = optional (types.nullOr types.packages) null;
    copyToRoot = optional (types.nullOr types.packages) null;
    keepContentsDirlinks = optional types.bool false;
    config = optional types.any null;
    runAsRoot = optional (types.nullOr types.string) null;
    extraCommands = optional (types.nullOr types.string) "";
    fakeRootCommands = optional (types.nullOr types.string) "";
    enableFakechroot = optional types.bool false;
    rootMode = optional (types.oneOf [ "emulated" "uid-range" ]) "emulated";
    architecture = optional (types.nullOr types.architecture) null;
    variant = optional (types.nullOr types.string) null;
    uid = optional types.natural 0;
    gid = optional types.natural 0;
    mtime = optional date.seconds 1;
    includeNixDB = optional types.bool false;
    rootfs = optional rootfs.type null;
    debug = optional types.bool false;
    passthru = optional types.attrs { };
  };

  # Those of them that `build` has under the same name
  forBuild = args: {
    inherit (args)
      name tag created compressor compressionLevel meta fromImage fromImageName fromImageTag inheritConfig allowPlatformMismatch
      keepContentsDirlinks runAsRoot enableFakechroot rootMode includeNixDB rootfs debug users groups perms architecture uid gid mtime;
    extraCommands = textOf args.extraCommands;
    fakeRootCommands = textOf args.fakeRootCommands;
    contents = types.toList args.contents;
    copyToRoot = types.toList args.copyToRoot;
    variant = if args.variant == "" then null else args.variant;
    config = canonical args.config;
  };

  # `build` under the name of another function, which its errors say; `special` is what only these functions ask of it.
  build = function: special: import ../build.nix (scope // { inherit function special; });

  # The image as nixpkgs writes it: layers that are not compressed, in an archive that is.
  archive = { built, name, compressor, compressionLevel, meta, notes ? [ ] }:
    runBuilder {
      name = "${name}.tar${{ gz = ".gz"; zstd = ".zst"; none = ""; }.${compressor}}";
      verb = "compressed_archive";
      near = true;
      forget = true;
      spec = {
        image = built.description;
        references = [ built.imageRef ];
        blobs = built.dockertoolsImage.blobsFor { inherit compressor compressionLevel; };
        inherit compressor notes;
        level = compressionLevel;
        zstd = zstdProgram;
      };
      inherit meta;
    };

  # Of a description it makes the archive: what nixpkgs' script makes of its `conf`.
  streamScript = runBuilder {
    name = "stream";
    verb = "script";
    near = true;
    spec = {
      bash = "${bash}/bin/bash";
      command = [ "${python3}/bin/python3" "-I" "-S" "-B" "${program.tool}/dockertools_py" "stream" ];
    };
  };

  # A derivation with the attributes of the image that it is of, and those that nixpkgs keeps in passthru.
  result = { derivation, built, passthru }: built // derivation // passthru // { inherit passthru; };
}
