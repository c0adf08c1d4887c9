# nixpkgs' trivial builders in small, with its argument forms: what expressions written for nixpkgs use to make files.
{ packages, system }:
let
  inherit (builtins) concatStringsSep filter removeAttrs;
  inherit (packages) bash python3;

  # What scripts find in PATH, as in nixpkgs' stdenv
  tools = with packages; [ coreutils findutils diffutils gnused gnugrep gawk gnutar gzip bzip2 bash xz ];

  run = name: env: buildCommand:
    let
      passthru = env.passthru or { };
      meta = env.meta or { };
      drv = derivation (removeAttrs env [ "passthru" "meta" ] // {
        inherit name system buildCommand;
        passAsFile = [ "buildCommand" ] ++ env.passAsFile or [ ];
        builder = "${bash}/bin/bash";
        args = [ "-eo" "pipefail" "-c" ''source "$buildCommandPath"'' ];
        PATH = lib.makeBinPath (env.nativeBuildInputs or [ ] ++ env.buildInputs or [ ] ++ tools);
      });
    in
    drv // passthru // { inherit passthru meta; };

  nameOf = args: args.name or "${args.pname}-${args.version}";

  # The arguments of nixpkgs' builders that say where to build, not what
  ignored = [ "preferLocalBuild" "allowSubstitutes" "checkCollisionContents" ];

  lib = {
    inherit (builtins) concatStringsSep;
    concatMapStringsSep = sep: f: list: concatStringsSep sep (map f list);
    concatMapStrings = lib.concatMapStringsSep "";
    escapeShellArgs = lib.concatMapStringsSep " " lib.escapeShellArg;
    escapeShellArg = arg: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString arg)}'";
    getBin = pkg: pkg.bin or pkg;
    getExe = pkg: lib.getExe' pkg (pkg.meta.mainProgram or (throw "lib.getExe: ${pkg.name} has no meta.mainProgram"));
    getExe' = pkg: program: "${pkg}/bin/${program}";
    makeBinPath = pkgs: concatStringsSep ":" (map (pkg: "${pkg}/bin") (filter (pkg: pkg != null) pkgs));
    makeOverridable = f: args: f args // { override = new: lib.makeOverridable f (args // (if builtins.isFunction new then new args else new)); };
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    optional = condition: value: lib.optionals condition [ value ];
    optionalAttrs = condition: set: if condition then set else { };
    optionals = condition: list: if condition then list else [ ];
    optionalString = condition: string: if condition then string else "";
  };

  joinPaths = args: extra:
    run (nameOf args) (removeAttrs args ([ "name" "paths" "postBuild" ] ++ ignored) // extra // { paths = args.paths or [ ]; }) ''
      ${python3}/bin/python3 -IB ${./links.py}
      ${args.postBuild or ""}
    '';

  checkScript = ''${bash}/bin/bash -n -O extglob "$target"'';
in
rec {
  inherit lib;
  runtimeShell = "${bash}/bin/bash";

  # runCommand name env script
  runCommand = run;
  runCommandLocal = run;

  writeTextFile = { name, text, executable ? false, destination ? "", checkPhase ? "", meta ? { }, passthru ? { }, ... }:
    run name { inherit text meta passthru; passAsFile = [ "text" ]; } ''
      target=$out${lib.escapeShellArg destination}
      mkdir -p "$(dirname "$target")"
      cp "$textPath" "$target"
      ${lib.optionalString executable ''chmod +x "$target"''}
      ${checkPhase}
    '';
  writeText = name: text: writeTextFile { inherit name text; };
  writeTextDir = path: text: writeTextFile { name = baseNameOf path; inherit text; destination = "/${path}"; };
  writeScript = name: text: writeTextFile { inherit name text; executable = true; };
  writeScriptBin = name: text:
    writeTextFile { inherit name text; executable = true; destination = "/bin/${name}"; meta.mainProgram = name; };

  writeShellScript = name: text:
    writeTextFile { inherit name; text = "#!${runtimeShell}\n${text}\n"; executable = true; checkPhase = checkScript; };
  writeShellScriptBin = name: text:
    writeTextFile {
      inherit name;
      text = "#!${runtimeShell}\n${text}\n";
      executable = true;
      destination = "/bin/${name}";
      checkPhase = checkScript;
      meta.mainProgram = name;
    };

  # Without nixpkgs' shellcheck
  writeShellApplication =
    { name, text, runtimeInputs ? [ ], runtimeEnv ? { }, bashOptions ? [ "errexit" "nounset" "pipefail" ], inheritPath ? true, checkPhase ? checkScript, meta ? { }, passthru ? { }, ... }:
    writeTextFile {
      inherit name checkPhase passthru;
      executable = true;
      destination = "/bin/${name}";
      meta = { mainProgram = name; } // meta;
      text = concatStringsSep "\n" (
        [ "#!${runtimeShell}" ]
        ++ map (option: "set -o ${option}") bashOptions
        ++ map (variable: "export ${variable}=${lib.escapeShellArg runtimeEnv.${variable}}") (builtins.attrNames runtimeEnv)
        ++ lib.optional (runtimeInputs != [ ] || !inheritPath)
          ''export PATH="${lib.makeBinPath runtimeInputs}${lib.optionalString inheritPath ":$PATH"}"''
        ++ [ "" text "" ]
      );
    };

  # linkFarm name [ { name, path } ]: links by their paths
  linkFarm = name: entries:
    run name { } (''mkdir $out
    '' + lib.concatMapStrings (entry: ''
      mkdir -p "$(dirname $out/${lib.escapeShellArg entry.name})"
      ln -s ${lib.escapeShellArg "${entry.path}"} $out/${lib.escapeShellArg entry.name}
    '') entries);

  # stdenv.mkDerivation { name or pname and version, src, buildPhase, installPhase }, without any of the phases of its own
  mkDerivation = args:
    run (nameOf args) (removeAttrs args [ "name" ]) ''
      if [ -n "''${src-}" ]; then cp -r "$src" source; chmod -R u+w source; cd source; fi
      eval "''${buildPhase-}"
      eval "''${installPhase-}"
    '' // lib.optionalAttrs (args ? pname) { inherit (args) pname version; };

  # symlinkJoin { name, paths, postBuild ? "" }: directories of links to the files of all paths; the first path that has a file wins
  symlinkJoin = args: joinPaths args { };

  # buildEnv { name, paths, pathsToLink ? [ "/" ], extraPrefix ? "", ignoreCollisions ? false, postBuild ? "" }: the same, but a
  # directory that only one path has is one link, and different files of one name are an error
  buildEnv = args@{ pathsToLink ? [ "/" ], extraPrefix ? "", ignoreCollisions ? false, ... }:
    joinPaths args { inherit pathsToLink extraPrefix; ignoreCollisions = if ignoreCollisions then "1" else ""; };
}
