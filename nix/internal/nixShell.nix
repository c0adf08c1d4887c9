# What streamNixShellImage and buildNixShellImage have in common: an image in which one is where nix-shell would put one.
#
# A container of it has the environment that the derivation's builder has: its attributes as variables, its inputs in the store,
# `$stdenv/setup` read by the shell, then `shellHook`. `buildDerivation` runs the builder itself. The store's folder belongs to
# the user, so that what is built can be put there.
scope@{ arguments, dropIn, layeredImage, types, fileTree, bash, coreutils, caFile, ... }:
let
  inherit (builtins) attrNames concatStringsSep elem filter isString listToAttrs map match removeAttrs replaceStrings;
  optional = type: default: { inherit type default; };
  quoted = word: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString word)}'";
  buildFolder = "/build";

  derivationType = {
    check = v: builtins.isAttrs v && v ? drvAttrs;
    rule = "a derivation, such as pkgs.hello";
  };

  # As Nix gives attributes to a builder: true is "1", lists are their items with spaces between
  variables = drv:
    let
      attributes = removeAttrs drv.drvAttrs [ "args" "passAsFile" "__ignoreNulls" ];
      asFile = let names = drv.drvAttrs.passAsFile or [ ]; in if isString names then filter isString (builtins.split " +" names) else names;
      isFile = name: elem name asFile;
      text = name: toString attributes.${name};
      file = name: fileTree { name = "attribute"; texts.${name} = text name; };
      # Where they will be, not what is there: that is what one wants to build.
      outputs = map (name: { inherit name; value = builtins.unsafeDiscardStringContext drv.${name}.outPath; }) (drv.outputs or [ "out" ]);
    in
    listToAttrs (
      map (name: if isFile name then { name = "${name}Path"; value = "${file name}/${name}"; } else { inherit name; value = text name; }) (attrNames attributes)
      ++ outputs
    );

  rcFile = { shell, path, last }: ''
    if [ -e "$stdenv/setup" ]; then
      unset PATH
      dontAddDisableDepTrack=1
      source "$stdenv/setup"
    fi
    set +e
    PATH=${path}''${PATH:+:$PATH}
    SHELL=${shell}
    BASH=${shell}
    unset NIX_ENFORCE_PURITY
    if [ -n "''${PS1-}" ]; then
      PS1='\n\[\033[1;32m\][nix-shell:\w]\$\[\033[0m\] '
    fi
    if [ "$(type -t runHook)" = function ]; then
      runHook shellHook
    elif [ -n "''${shellHook-}" ]; then
      eval "$shellHook"
    fi
    shopt -u nullglob
    shopt -s execfail
    ${last}
  '';
in
{
  arguments = {
    drv.type = derivationType;
    name = optional (types.nullOr types.string) null;
    tag = dropIn.arguments.tag;
    uid = optional types.natural 1000;
    gid = optional types.natural 1000;
    homeDirectory = optional types.string buildFolder;
    shell = optional types.string "${bash}/bin/bash";
    command = optional (types.nullOr types.string) null;
    run = optional (types.nullOr types.string) null;
  };

  # Type: function name -> its arguments, checked -> those of streamLayeredImage, and what only these functions ask of `build`
  make = function: args:
    let
      inherit (args) drv uid gid shell;
      given = if args.run != null then args.run else args.command;
      bin = fileTree {
        name = "build-derivation";
        executables."bin/buildDerivation" = "#!${shell}\nexec ${concatStringsSep " " (map quoted ([ drv.drvAttrs.builder ] ++ drv.drvAttrs.args or [ ]))}\n";
      };
      rc = fileTree {
        name = "nix-shell-rc";
        texts.rc = rcFile {
          inherit shell;
          path = "${dirOf shell}:${bin}/bin";
          last = if given == null then "" else "${given}\nexit";
        };
      };
      certificates = if caFile == null then { } else { SSL_CERT_FILE = caFile; NIX_SSL_CERT_FILE = caFile; };
      folders = listToAttrs (map (name: { inherit name; value = buildFolder; }) [ "NIX_BUILD_TOP" "TMPDIR" "TEMPDIR" "TMP" "TEMP" "PWD" ]);
      environment = certificates // {
        PATH = "/path-not-set";
        HOME = args.homeDirectory;
        NIX_STORE = builtins.storeDir;
        NIX_BUILD_CORES = "1";
        TERM = "xterm-256color";
      } // variables drv // folders;
      user = "nixbld:x:${toString uid}:${toString gid}:Build user:${args.homeDirectory}:/noshell";
      name = if args.name != null then args.name else "${drv.name}-env";
    in
    if drv.drvAttrs.__structuredAttrs or false then arguments.fail function "`drv` is ${arguments.show drv}, which has __structuredAttrs: its attributes are no variables, and there is no shell that has them; give one without."
    else if args.run != null && args.command != null then arguments.fail function "`run` and `command` are both given: write one of them."
    else {
      special = { rootOwner = [ uid gid ]; storeOwner = [ 0 0 ]; };
      inherit name;
      image = {
        inherit name;
        inherit (args) tag;
        contents = [
          (import ../binSh.nix scope)
          (import ../usrBinEnv.nix scope)
          ((import ../fakeNss.nix scope).override { extraPasswdLines = [ user ]; extraGroupLines = [ "nixbld:!:${toString gid}:" ]; })
        ];
        extraCommands = "mkdir -p nix/store nix/var/nix .${buildFolder}";
        config = {
          Cmd = if args.run == null then [ shell "--rcfile" "${rc}/rc" ] else [ shell "${rc}/rc" ];
          User = "${toString uid}:${toString gid}";
          WorkingDir = buildFolder;
          Env = map (name: "${name}=${environment.${name}}") (attrNames environment);
        };
      };
    };
}
