# The store paths that the strings of a value mention, as strings with context: `[ "/nix/store/…-python3-3.11" ]` of
# `{ Cmd = [ "${python3}/bin/python3" ]; }`. Each once, in the order of mention.
#
# A layer must depend on the paths alone, not on the text around them, or a changed flag in Cmd would rebuild layers. Only
# strings with context count: whoever took it away means a text, not a dependency.
let
  inherit (builtins) appendContext attrValues concatMap elemAt filter foldl' getContext hasContext isAttrs isList isString match split storeDir;

  pathPattern = "(${storeDir}/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]*[0-9a-zA-Z+_-])";

  strings = value:
    if isString value then [ value ]
    else if isList value then concatMap strings value
    else if isAttrs value then concatMap strings (attrValues value)
    else [ ];

  inString = text: map (found: appendContext (builtins.head found) (getContext text)) (filter isList (split pathPattern text));
  plain = builtins.unsafeDiscardStringContext;
in
value:
let
  all = concatMap inString (filter hasContext (strings value));
  once = foldl' (done: path: if done.seen ? ${plain path} then done else { seen = done.seen // { ${plain path} = null; }; list = done.list ++ [ path ]; }) { seen = { }; list = [ ]; } all;
in
once.list
