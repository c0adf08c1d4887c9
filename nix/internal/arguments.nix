# Checks a function's arguments and gives them their defaults; the result can be overridden.
#
# Type: name -> { argument = { type; default?; }; } -> (checked arguments -> result) -> arguments -> result
#
# A type is { check; rule; make?; }: whether a value is one, what to write instead, and the one form of several that the function gets.
# Errors name function, argument, value, rule and way out. The result of a function declared so has `.override`, which takes
# new arguments, or a function from the old ones to new ones.
let
  inherit (builtins) attrNames concatStringsSep filter head isAttrs isFunction isList isString mapAttrs stringLength substring;
  lower = (import ./names.nix).lower;
in
rec {
  # A value in an error: short, and never building or failing.
  show = value:
    let
      name = builtins.tryEval (toString value.name);
      text =
        if isString value then builtins.toJSON (builtins.unsafeDiscardStringContext value)
        else if isAttrs value && value ? outPath then (if value ? name && name.success then "the package ${name.value}" else "a package")
        else if isAttrs value then spaced "{" (map (n: "${n} = …;") (attrNames value)) "}"
        else if isList value then spaced "[" (map show value) "]"
        else if isFunction value then "a function"
        else if value == null then "null"
        else if value == true then "true"
        else if value == false then "false"
        else toString value;
      spaced = open: parts: close: concatStringsSep " " ([ open ] ++ parts ++ [ close ]);
    in
    if stringLength text > 80 then "${substring 0 79 text}…" else text;

  fail = function: message: throw "dockerTools.${function}: ${message}";

  # Those of `known` that somebody may have meant: the same in other letters, else with a slip of two letters in one place.
  similar = known: name:
    let
      same = filter (n: lower n == lower name) known;
      slip = n:
        let
          long = if stringLength n > stringLength name then n else name;
          alike = common (lower n) (lower name);
        in
        alike >= 3 && alike >= stringLength long - 2;
    in
    if same != [ ] then same else filter slip known;

  # How many letters two words share at their ends; none twice.
  common = a: b:
    let
      shorter = if stringLength a < stringLength b then stringLength a else stringLength b;
      letter = word: i: substring i 1 word;
      count = isSame: limit: let go = n: if n < limit && isSame n then go (n + 1) else n; in go 0;
      front = count (i: letter a i == letter b i) shorter;
    in
    front + count (i: letter a (stringLength a - 1 - i) == letter b (stringLength b - 1 - i)) (shorter - front);

  wrong = function: argument: value: rule: fail function "`${argument}` is ${show value}: write ${rule}.";

  declare = function: parameters: body: given:
    let
      known = attrNames parameters;
      unknown = filter (n: !parameters ? ${n}) (attrNames given);
      missing = filter (n: !(parameters.${n} ? default) && !given ? ${n}) known;
      checkUnknown = name: fail function (
        "unknown argument `${name}`; "
        + (let meant = similar known name; in if meant != [ ] then "write `${head meant}`." else "it takes ${concatStringsSep " " known}.")
      );
      values = mapAttrs
        (name: parameter:
          if !given ? ${name} then parameter.default
          else if parameter.type.check given.${name} then (parameter.type.make or (value: value)) given.${name}
          else wrong function name given.${name} parameter.type.rule)
        parameters;
    in
    if !isAttrs given || given ? outPath then fail function "its argument is ${show given}: write an attribute set of ${concatStringsSep " " known}."
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
