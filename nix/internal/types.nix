# What an argument may be: `check` says whether a value is one, `rule` what to write instead, for the error.
let
  inherit (builtins) all elem isAttrs isBool isInt isList isPath isString match;
in
rec {
  string = { check = isString; rule = "a string"; };
  bool = { check = isBool; rule = "true or false"; };
  list = { check = isList; rule = "a list"; };
  either = one: other: { check = v: one.check v || other.check v; rule = "${one.rule}, or ${other.rule}"; };
  attrs = { check = isAttrs; rule = "an attribute set"; };
  # Checked by the function itself.
  any = { check = _: true; rule = ""; };
  natural = { check = v: isInt v && v >= 0; rule = "a whole number, 0 or more"; };
  positive = { check = v: isInt v && v >= 1; rule = "a whole number, 1 or more"; };
  between = low: high: { check = v: isInt v && v >= low && v <= high; rule = "a whole number from ${toString low} to ${toString high}"; };
  oneOf = values: { check = v: elem v values; rule = builtins.concatStringsSep " or " (map builtins.toJSON values); };
  nullOr = type: { check = v: v == null || type.check v; rule = "null or ${type.rule}"; };

  # Of several forms; the function gets RFC 3339, as dockertools_py/model/image_config.py wants it.
  date = (import ./date.nix).type;

  # GOARCH: no engine would take what is called otherwise
  architecture = {
    check = v: elem v [
      "386" "amd64" "arm" "arm64" "loong64" "mips" "mips64" "mips64le" "mipsle" "ppc64" "ppc64le" "riscv64" "s390x" "sparc64" "wasm"
    ];
    rule = "an architecture in Go's words, such as \"amd64\" (x86_64), \"arm64\" (aarch64), \"arm\" or \"386\"";
  };

  inheritance = {
    check = v: elem v [ "all" "env" "none" ] || (isList v && all isString v);
    rule = "\"all\", \"env\", \"none\", or a list of keys such as [ \"Env\" \"User\" ]";
  };

  strings = { check = v: isList v && all isString v; rule = "a list of strings"; };

  # A package, a path, or a string that names something in the store.
  package = {
    check = v: isPath v || (isAttrs v && v ? outPath) || (isString v && builtins.hasContext v);
    rule = "a package or a path";
  };
  packages = {
    check = v: package.check v || (isList v && all package.check v);
    rule = "a package, a path, or a list of them";
  };
  layers = {
    check = v: isList v && all packages.check v;
    rule = "a list of packages, or of lists of them";
  };
  file = {
    check = v: package.check v || (isString v && match "/.*" v != null);
    rule = "a file: a package, or a path such as ./image.tar";
  };
  files = {
    check = v: file.check v || (isList v && all file.check v);
    rule = "a file (a package, or a path such as ./root.tar), or a list of them";
  };

  # uid_t and gid_t, without the one that means none
  id = between 0 4294967294;
  mode = {
    check = v: isString v && match "[0-7]{3,4}" v != null;
    rule = "a string of 3 or 4 octal digits, such as \"0750\"";
  };
  named = {
    check = v: isList v || (isAttrs v && !(v ? outPath));
    rule = "a set by name, or a list of sets with `name`";
  };
  sets = { check = isList; rule = "a list of attribute sets"; };

  # As a list, whichever of the two was given.
  toList = v: if v == null then [ ] else if isList v then v else [ v ];
}
