# hostpkgs: a small stand-in for nixpkgs, made of Debian 12 or 13 packages, for the demo and the tests on machines without
# nixpkgs. Not for images that anyone ships: it has some forty packages, and its store paths follow this machine's Debian.
#
# It is honest in what images need of it: every package is a real store path with real references. build.py lays the files of
# the Debian packages out in $out, inside Nix's sandbox, and gives every program the way to its libraries in the store. Nix's
# own scan of $out then finds the references.
#
# The files come from .debs in the folder `debs`, where `./dev setup` downloads them; a package that is not there is taken from
# what dpkg has installed.
#
# To evaluate means to read and hash all of these files, about a second each time. So `./dev setup` notes in the file
# `remembered` which derivation each name came to. While nothing in this folder has changed and these paths exist, they are
# used instead; they are the same derivations. `remembered = null` evaluates in earnest.
{ system ? builtins.currentSystem or (throw "hostpkgs reads files of this machine, which pure evaluation forbids: use --impure, or give an own `pkgs`")
, cache ? # The checkout's folder .cache; a flake is evaluated in a copy that lacks it, so then the current directory's.
  let
    ofCheckout = ../../.cache;
    here = builtins.getEnv "PWD";
  in
  if builtins.pathExists ofCheckout || here == "" then ofCheckout else /. + "${here}/.cache"
, release ? # of Debian: "12" or "13"
  let
    about = if builtins.pathExists /etc/os-release then builtins.readFile /etc/os-release else "";
    number = builtins.match ".*\nVERSION_ID=\"?([0-9]+)\"?\n.*" about;
  in
  if number == null then "a system without a number" else builtins.head number
, debs ? cache + "/debs/${release}"
, remembered ? cache + "/hostpkgs.json"
, overlays ? [ ] # as nixpkgs has them
}:
let
  inherit (builtins)
    all appendContext attrNames filter foldl' fromJSON hashFile hashString head isString
    mapAttrs match path pathExists readDir readFile seq split tail unsafeDiscardStringContext;

  platform = {
    x86_64-linux = { arch = "amd64"; multiarch = "x86_64-linux-gnu"; loader = "ld-linux-x86-64.so.2"; };
    aarch64-linux = { arch = "arm64"; multiarch = "aarch64-linux-gnu"; loader = "ld-linux-aarch64.so.1"; }; # never tried
  }.${system} or (throw "hostpkgs knows no Debian packages for ${system}; give an own `pkgs`");

  words = s: filter (w: isString w && w != "") (split " +" s);
  # `system` first: where evaluation is pure, it says so
  layers = map (mapAttrs (_: words)) (import ./debian.nix (seq system release));
  table = foldl' (done: layer: done // layer) { } layers;

  # --- evaluated: a derivation per package --------------------------------------------------------------------------------

  dpkg = import ./dpkg.nix { inherit debs; inherit (platform) arch; };
  require = why: debs':
    let missing = filter (deb: !dpkg.isThere deb) debs'; in
    if missing == [ ] then debs'
    else throw "hostpkgs: ${why} needs Debian packages that are neither installed nor in ${toString debs}: ${toString missing}. Run ./dev setup.";

  # What the builds run on: the installed python3, started through its own dynamic linker.
  python = head (filter (p: dpkg.isInstalled "${p}-minimal") [ "python3.11" "python3.13" "python3.14" ] ++ [ "python3" ]);
  boot = dpkg.installed "hostpkgs-boot" (filter dpkg.isInstalled (require "the builder" (words
    "libc6 zlib1g libexpat1 liblzma5 libbz2-1.0 ${python}-minimal lib${python}-minimal lib${python}-stdlib")));
  run = [ "${boot}/lib/${platform.multiarch}/${platform.loader}" "--library-path" "${boot}/lib/${platform.multiarch}" ];

  # Without what a Python run by hand may have left there
  builder = path { name = "hostpkgs-builder"; path = ./builder; filter = file: _: match ".*[.]py" file != null; };

  build = deps: pname: debs':
    derivation {
      inherit pname system deps;
      inherit (platform) loader multiarch;
      name = "${pname}-${dpkg.versionOf (head (require pname debs'))}";
      builder = head run;
      args = tail run ++ [ "${boot}/bin/${python}" "-EsB" "${builder}/build.py" ];
      sources = dpkg.sources pname debs';
    };

  # As dependencies serve those packages of the layers before which are there: who has just bash and its libraries can build bash.
  isThere = mapAttrs (_: all dpkg.isThere) table;
  addLayer = done: layer: done // mapAttrs (build (map (p: done.${p}) (filter (p: isThere.${p}) (attrNames done)))) layer;
  evaluated = foldl' addLayer { } layers;

  # --- remembered: what these derivations were when somebody looked last ----------------------------------------------------

  sources = folder: map (file: folder + "/${file}") (filter (file: match ".*[.](nix|py)" file != null) (attrNames (readDir folder)));
  key = hashString "sha256" (toString ([ system release ] ++ map (hashFile "sha256") (sources ./. ++ sources ./builder)));
  memory =
    let found = fromJSON (readFile remembered); in
    if remembered != null && pathExists remembered && found.key == key then found.packages else { };

  # The context makes the strings what they are in an evaluation in earnest: outputs of a derivation, not just store paths. So
  # whatever is built on them gets the same store path either way.
  recall = { name, out, drv }: {
    inherit name;
    outPath = appendContext out { ${drv}.outputs = [ "out" ]; };
    drvPath = appendContext drv { ${drv}.allOutputs = true; };
  };
  remember = p: { inherit (p) name; out = unsafeDiscardStringContext p.outPath; drv = unsafeDiscardStringContext p.drvPath; };

  # --- what users see -------------------------------------------------------------------------------------------------------

  # meta.mainProgram
  programs = {
    bash = "bash";
    busybox = "busybox";
    diffutils = "diff";
    fakeroot = "fakeroot";
    findutils = "find";
    gawk = "awk";
    getopt = "getopt";
    gnugrep = "grep";
    gnused = "sed";
    gnutar = "tar";
    gzip = "gzip";
    hello = "hello";
    nginx = "nginx";
    nix = "nix";
    perl = "perl";
    python3 = "python3";
    redis = "redis-server";
    zstd = "zstd";
  };

  package = pname: _:
    let
      known = memory.${pname};
      drv = if memory ? ${pname} && pathExists known.out && pathExists known.drv then recall known else evaluated.${pname};
      self = {
        type = "derivation";
        inherit pname system;
        inherit (drv) name outPath drvPath;
        version = (builtins.parseDrvName drv.name).version;
        outputName = "out";
        outputs = [ "out" ];
        out = self;
        all = [ self ];
        passthru = { };
        meta = { inherit (drv) name; outputsToInstall = [ "out" ]; } // (
          if programs ? ${pname} then { mainProgram = programs.${pname}; } else { }
        );
      };
    in
    self;

  packages = mapAttrs package table;

  helpers = import ./helpers.nix { inherit packages system; };
  hostPlatform = { inherit system; isLinux = true; go.GOARCH = platform.arch; };

  # What overlays find as `final` and `prev`
  final = foldl' (prev: overlay: prev // overlay final prev) set overlays;
  set = packages // helpers // {
    inherit system;
    bashInteractive = packages.bash;
    callPackage = f: args:
      let function = if builtins.isPath f then import f else f; in
      function (builtins.intersectAttrs (builtins.functionArgs function) final // args);
    stdenv = { inherit (helpers) mkDerivation; inherit hostPlatform; buildPlatform = hostPlatform; inherit (hostPlatform) isLinux; };
    # For ./dev: what to download, what to build, and what to remember
    hostpkgs = { inherit packages release; debs = table; memory = { inherit key; packages = mapAttrs (_: remember) packages; }; };
  };
in
final
