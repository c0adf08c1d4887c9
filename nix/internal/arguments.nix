# Checks a function's arguments and gives them their defaults; the result can be overridden.
#
# Type: name -> { argument = { type; default?; }; } -> (checked arguments -> result) -> arguments -> result
#
# Errors name function, argument, value, rule and way out. The result of a function declared so has `.override`, which takes
# new arguments, or a function from the old ones to new ones.
let
  inherit (builtins) attrNames concatStringsSep filter head isAttrs isFunction isList isString length mapAttrs replaceStrings stringLength substring;
  lower = (import ./names.nix).lower;
in
rec {
  # A value in an error: short, and never building or failing.
  show = value:
    let
      text =
        if isString value then builtins.toJSON (builtins.unsafeDiscardStringContext value)
        else if isAttrs value && value ? name && value ? outPath then "the package ${toString value.name}"
        else if isAttrs value then "{ ${concatStringsSep " " (map (n: "${n} = …;") (attrNames value))} }"
        else if isList value then "a list of ${toString (length value)}"
        else if isFunction value then "a function"
        else if value == null then "null"
        else if value == true then "true"
        else if value == false then "false"
        else toString value;
    in
    if stringLength text > 80 then "${substring 0 79 text}…" else text;

  fail = function: message: throw "dockerTools.${function}: ${message}";

  wrong = function: argument: value: rule: fail function "`${argument}` is ${show value}: write ${rule}.";

  declare = function: parameters: body: given:
    let
      known = attrNames parameters;
      unknown = filter (n: !parameters ? ${n}) (attrNames given);
      missing = filter (n: !(parameters.${n} ? default) && !given ? ${n}) known;
      similar = name: filter (n: lower n == lower name) known;
      checkUnknown = name: fail function (
        "unknown argument `${name}`; "
        + (if similar name != [ ] then "write `${head (similar name)}`." else "it takes ${concatStringsSep " " known}.")
      );
      values = mapAttrs
        (name: parameter:
          if !given ? ${name} then parameter.default
          else if parameter.type.check given.${name} then given.${name}
          else wrong function name given.${name} parameter.type.rule)
        parameters;
    in
    if !isAttrs given then fail function "its argument is ${show given}: write an attribute set of ${concatStringsSep " " known}."
    else if unknown != [ ] then checkUnknown (head unknown)
    else if missing != [ ] then fail function "`${head missing}` is missing: write ${head missing} = ${parameters.${head missing}.type.rule}."
    else
    # Each value is checked when the function is called, not when somebody happens to look.
      builtins.foldl' (result: name: builtins.seq values.${name} result)
        (body values // {
          override = new: declare function parameters body (given // (if isFunction new then new given else new));
        })
        known;
}
