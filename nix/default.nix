# The scope: a line for each public function, alphabetically; what they share is in internal/.
#
# It takes packages, not nixpkgs, and otherwise nothing but builtins, so that it evaluates with any package set:
#   python3      runs all builds; with OpenSSL (so not python3Minimal), or hashing is several times slower
#   bash         runs `extraCommands`
#   scriptPath   packages whose bin is in the PATH of scripts
#   zstd         reads and writes zstd, where python is older than 3.14
#   cacert       certificates to trust when something is fetched, where NIX_SSL_CERT_FILE and SSL_CERT_FILE name none
{ python3
, bash
, coreutils
, scriptPath ? [ coreutils ]
, zstd ? null
, cacert ? null
, system ? python3.system
}:
let
  scope = import ./internal { inherit python3 bash scriptPath zstd cacert system; };
  call = file: import file (scope // functions);

  functions = {
    build = call ./build.nix;
    exportImage = call ./exportImage.nix;
    flattenImage = call ./flattenImage.nix;
    hydraProducts = call ./hydraProducts.nix;
    mergeImages = call ./mergeImages.nix;
    mkDelta = call ./mkDelta.nix;
    mkTarball = call ./mkTarball.nix;
    pullImage = call ./pullImage.nix;
    toLayered = call ./toLayered.nix;
  };
in
functions
