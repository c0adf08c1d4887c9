# What Debian packages there are, and their files as store paths: .deb files in the folder `debs`, which apt names
# NAME_VERSION_ARCH.deb, else what dpkg has installed on this machine.
{ debs, arch }:
let
  inherit (builtins)
    attrNames concatMap elemAt filter foldl' head isList isString listToAttrs map match path pathExists readDir readFile
    replaceStrings split;

  words = s: filter (w: isString w && w != "") (split "[ \n]+" s);
  pairs = list: listToAttrs (map (p: { name = head p; value = elemAt p 1; }) list);

  # { NAME = { file, version }; }
  downloaded =
    let
      parse = file: { inherit file; parts = match "([^_]+)_([^_]+)_(all|${arch})[.]deb" file; };
      entry = f: [ (head f.parts) { inherit (f) file; version = replaceStrings [ "%3a" ] [ ":" ] (elemAt f.parts 1); } ];
    in
    if debs == null || !pathExists debs then { }
    else pairs (map entry (filter (f: f.parts != null) (map parse (attrNames (readDir debs)))));

  # { NAME = VERSION; }, from the lines "Package: NAME" and "Version: VERSION" of dpkg's status file
  versions =
    let
      fields = filter isList (split "(Package|Version): ([^\n]+)\n" (readFile /var/lib/dpkg/status));
      step = acc: f:
        if head f == "Package" then acc // { name = elemAt f 1; }
        else acc // { found = acc.found ++ [ [ acc.name (elemAt f 1) ] ]; };
    in
    pairs (foldl' step { name = ""; found = [ ]; } fields).found;

  # dpkg's list of a package's files, or null when it is not installed
  listOf = deb:
    let lists = filter pathExists (map (suffix: "/var/lib/dpkg/info/${deb}${suffix}.list") [ ":${arch}" "" ]); in
    if lists == [ ] then null else head lists;
in
rec {
  isInstalled = deb: listOf deb != null;

  isThere = deb: downloaded ? ${deb} || isInstalled deb;

  # "1:2.36.dfsg-9+deb12u10" -> "2.36"
  versionOf = deb: replaceStrings [ ".dfsg" ] [ "" ] (elemAt (match "([0-9]+:)?([^-+~]+).*" (downloaded.${deb}.version or versions.${deb})) 1);

  # The installed files of Debian packages, as one store path. /bin, /lib and so on are links into /usr there: their bare
  # names count too, or the walk would not go down to the files.
  installed = name: debs':
    let
      inUsr = f: if match "/(bin|sbin|lib|lib64)(/.*)?" f != null then "/usr${f}" else f;
      wanted = pairs (map (f: [ (inUsr f) null ]) (concatMap (deb: words (readFile (listOf deb))) debs'));
      junk = f: match "/usr/share/(doc|man|info|locale|lintian|bug)(/.*)?" f != null;
    in
    path { inherit name; path = /usr; filter = f: _: wanted ? ${f} && !junk f; };

  sources = name: debs':
    let
      fetched = filter (deb: downloaded ? ${deb}) debs';
      here = filter (deb: !downloaded ? ${deb}) debs';
      file = deb: downloaded.${deb}.file;
      # "~" and "%" may not be in the name of a store path
      asPath = deb: path { name = replaceStrings [ "~" "%" ] [ "-" "-" ] (file deb); path = debs + "/${file deb}"; };
    in
    map asPath fetched ++ (if here == [ ] then [ ] else [ (installed "${name}-installed" here) ]);
}
