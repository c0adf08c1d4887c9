# An attribute set inside an argument, checked like the arguments themselves.
#
# Type: function name -> where -> { key = { type; default?; }; } -> value -> { key = value; … }
#
# `where` is how the user wrote it, for errors: "users.app", "perms[0]".
let
  arguments = import ./arguments.nix;
  inherit (builtins) attrNames concatStringsSep filter head isAttrs mapAttrs;
in
function: where: fields: value:
let
  known = attrNames fields;
  unknown = filter (key: !fields ? ${key}) (attrNames value);
  refuse = key:
    let meant = arguments.similar known key; in
    arguments.fail function (
      "unknown key `${where}.${key}`; "
      + (if meant != [ ] then "write `${head meant}`." else "it takes ${concatStringsSep " " known}.")
    );
in
if !isAttrs value || value ? outPath then arguments.wrong function where value "an attribute set of ${concatStringsSep " " known}"
else if unknown != [ ] then refuse (head unknown)
else
  mapAttrs
    (key: field:
      if !value ? ${key} then
        field.default or (arguments.fail function "`${where}.${key}` is missing: write ${key} = ${field.type.rule}.")
      else if field.type.check value.${key} then value.${key}
      else arguments.wrong function "${where}.${key}" value.${key} field.type.rule)
    fields
