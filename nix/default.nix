# The scope: a line for each public function, alphabetically; what they share is in internal/.
#
# It takes packages, not nixpkgs, and otherwise nothing but builtins, so that it evaluates with any package set:
#   python3      runs all builds; with OpenSSL (so not python3Minimal), or hashing is several times slower
#   bash         runs `extraCommands`
#   scriptPath   packages whose bin is in the PATH of scripts
#   zstd         reads and writes zstd, where python is older than 3.14
#   cacert       certificates: to trust when something is fetched, where NIX_SSL_CERT_FILE and SSL_CERT_FILE name none; and of
#                `caCertificates`
#   shadow       the programs of `shadowSetup`
{ python3
, bash
, coreutils
, scriptPath ? [ coreutils ]
, zstd ? null
, cacert ? null
, shadow ? null
, system ? python3.system
}:
let
  scope = import ./internal { inherit python3 bash coreutils scriptPath zstd cacert shadow system; };
  call = file: import file (scope // functions);

  functions = {
    binSh = call ./binSh.nix;
    build = call ./build.nix;
    buildImage = call ./buildImage.nix;
    buildImageWithNixDb = call ./buildImageWithNixDb.nix;
    buildIndex = call ./buildIndex.nix;
    buildLayeredImage = call ./buildLayeredImage.nix;
    buildLayeredImageWithNixDb = call ./buildLayeredImageWithNixDb.nix;
    buildNixShellImage = call ./buildNixShellImage.nix;
    caCertificates = call ./caCertificates.nix;
    exportImage = call ./exportImage.nix;
    fakeNss = call ./fakeNss.nix;
    flattenImage = call ./flattenImage.nix;
    hydraProducts = call ./hydraProducts.nix;
    mergeImages = call ./mergeImages.nix;
    mkDelta = call ./mkDelta.nix;
    mkTarball = call ./mkTarball.nix;
    pullImage = call ./pullImage.nix;
    shadowSetup = call ./shadowSetup.nix;
    streamLayeredImage = call ./streamLayeredImage.nix;
    streamNixShellImage = call ./streamNixShellImage.nix;
    toLayered = call ./toLayered.nix;
    usrBinEnv = call ./usrBinEnv.nix;
  };
in
functions
