# What streamLayeredImage and buildLayeredImage have in common: their arguments, and the image that they mean.
scope@{ arguments, dropIn, types, ... }:
let
  optional = type: default: { inherit type default; };
in
rec {
  arguments = dropIn.arguments // {
    maxLayers = optional (types.between 2 (127 * 127)) 100;
    uname = optional types.string "root";
    gname = optional types.string "root";
    layeringPipeline = optional (types.nullOr (types.either types.list types.file)) null;
    includeStorePaths = optional types.bool true;
  };

  # Type: function name -> its arguments, checked -> image of `build`
  make = function: args:
    let
      # Engines mount no more, whatever was asked for.
      maxLayers = if args.maxLayers > 125 then 125 else args.maxLayers;
      special = {
        storeOwner = [ args.uid args.gid ];
        rootOwner = [ 0 0 ];
        inherit (args) includeStorePaths;
        counted = others: { most = maxLayers - others; named = true; };
        names.fileName = baseNameOf args.name;
      };
    in
    dropIn.build function special (dropIn.forBuild args // { inherit maxLayers; inherit (args) layeringPipeline; });

  # The archive, with nixpkgs' passthru
  archive = { built, args, compressionLevel }:
    dropIn.result {
      inherit built;
      derivation = dropIn.archive { inherit built compressionLevel; inherit (args) compressor meta; name = baseNameOf args.name; };
      passthru = args.passthru // {
        inherit (built) imageTag;
        stream = stream { inherit built args; };
      };
    };

  # The script, with nixpkgs' passthru
  stream = { built, args }:
    dropIn.result {
      inherit built;
      derivation = built.stream // { inherit (args) meta; };
      passthru = args.passthru // {
        inherit (built) imageTag;
        conf = built.description;
        streamScript = dropIn.streamScript;
        isExe = true;
      };
    };
}
