# Names and tags of images.
let
  inherit (builtins) head match replaceStrings stringLength substring;
  component = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*";
  registry = "[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?";
in
rec {
  lower = replaceStrings
    [ "A" "B" "C" "D" "E" "F" "G" "H" "I" "J" "K" "L" "M" "N" "O" "P" "Q" "R" "S" "T" "U" "V" "W" "X" "Y" "Z" ]
    [ "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z" ];

  isName = name: stringLength name <= 255 && match "(${registry}/)?${component}(/${component})*" (lower name) != null;
  nameRule = "an image name: letters and digits, with single . _ - between them and / between parts, as in \"registry.example.org/team/app\"";

  isTag = tag: match "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}" tag != null;
  tagRule = "a tag: up to 128 letters, digits, . _ -, not beginning with . or -; or null for the output's hash";

  name = { check = v: builtins.isString v && isName v; rule = nameRule; };
  tag = { check = v: v == null || (builtins.isString v && isTag v); rule = tagRule; };

  # The hash of a derivation's output path: a tag that changes exactly when the output does.
  hashOf = drv: substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext drv.outPath));

  # The last part of an image name, fit for a store path.
  baseName = imageName: head (builtins.split ":" (baseNameOf imageName));

  # The name of a store path, without folder and hash, and fit to be a store path's name again.
  ofPath = path:
    let base = baseNameOf (builtins.unsafeDiscardStringContext (toString path)); in
    if stringLength base > 33 then substring 33 (-1) base else base;
}
