# What the public functions share, one file each.
{ python3, bash, coreutils, scriptPath, zstd, cacert ? null, shadow ? null, system }:
let
  scope = {
    inherit python3 bash coreutils scriptPath shadow system;
    # Where python and this package set are older than zstd in python, the program does it.
    zstdProgram = if zstd == null then null else "${zstd.bin or zstd}/bin/zstd";

    # The authorities that are trusted where the environment names none.
    caFile = if cacert == null then null else "${cacert.out or cacert}/etc/ssl/certs/ca-bundle.crt";

    arguments = import ./arguments.nix;
    types = import ./types.nix;
    containerConfig = import ./containerConfig.nix;
    dropIn = import ./dropIn.nix scope;
    files = import ./files.nix;
    fileTree = import ./fileTree.nix scope;
    inheritConfig = import ./inheritConfig.nix;
    names = import ./names.nix;
    mentioned = import ./mentioned.nix;
    platform = import ./platform.nix;
    compressionLevel = import ./compressionLevel.nix scope;

    program = import ./program.nix { inherit python3 system; };
    runBuilder = import ./runBuilder.nix scope;
    baseImage = import ./baseImage.nix scope;
    blobs = import ./blobs.nix scope;
    executable = import ./executable.nix scope;
    image = import ./image.nix scope;
    imageArguments = import ./imageArguments.nix scope;
    lazy = import ./lazy.nix scope;
    layerGroups = import ./layerGroups.nix scope;
    layeredImage = import ./layeredImage.nix scope;
    owners = import ./owners.nix scope;
    layerShares = import ./layerShares.nix;
    packageLayers = import ./packageLayers.nix scope;
    nixDatabase = import ./nixDatabase.nix scope;
    noBase = import ./noBase.nix;
    nixShell = import ./nixShell.nix scope;
    pulledImage = import ./pulledImage.nix scope;
    pulledArchive = import ./pulledArchive.nix scope;
    rootfs = import ./rootfs.nix scope;
    rootLayer = import ./rootLayer.nix scope;
    scriptCheck = import ./scriptCheck.nix scope;
    scriptLayer = import ./scriptLayer.nix scope;
    tarLayer = import ./tarLayer.nix scope;
  };
in
scope
