# `perms`, checked, as the builder takes them.
#
# Type: function name -> [ { path | glob; … } ] -> [ { … } ]
#
# Whether the paths are there is known only to the build: dockertools_py/pack/permissions.py.
{ arguments, types, ... }:
let
  record = import ./record.nix;
  inherit (builtins) all concatMap concatStringsSep elem elemAt filter genList head isList isString length map match split;
  known = import ./capabilities.nix;

  path = {
    check = v: isString v && match "/[^\n]*" v != null && match "(.*/)?[.][.](/.*)?" v == null;
    rule = "an absolute path without `..`";
  };
  name = { check = v: isString v && match "[^:,\n]+" v != null; rule = "a name"; };
  clause = v: isString v && match "[a-z0-9_,]*([=+-][eip]*)+" v != null;
  bare = v: isString v && match "cap_[a-z0-9_]+" v != null;
  clauses = v: isString v && all (word: !isString word || word == "" || clause word) (split "[ \n]+" v);
  capabilities = {
    check = v: clauses v || (isList v && all (item: bare item || clause item) v);
    rule = "text as setcap takes it, \"cap_net_bind_service+ep\", or a list of such and of names; \"\" for none";
  };

  words = separator: text: filter (word: isString word && word != "") (split separator text);
  named = clause: words "," (head (match "([a-z0-9_,]*).*" clause));
  unknown = text: filter (name: name != "all" && !elem name known) (concatMap named (words "[ \n]+" text));

  fields = {
    path = { type = types.nullOr path; default = null; };
    glob = { type = types.nullOr path; default = null; };
    mode = { type = types.nullOr types.mode; default = null; };
    uid = { type = types.nullOr types.id; default = null; };
    gid = { type = types.nullOr types.id; default = null; };
    uname = { type = types.nullOr name; default = null; };
    gname = { type = types.nullOr name; default = null; };
    capabilities = { type = types.nullOr capabilities; default = null; };
    recursive = { type = types.bool; default = false; };
    create = { type = types.nullOr (types.oneOf [ "directory" ]); default = null; };
  };

  checked = function: i: given:
    let
      where = "perms[${toString i}]";
      item = record function where fields given;
      fail = message: arguments.fail function "`${where}` ${message}";
      given' = key: item.${key} != null;
      both = one: other: given' one && given' other;
      pathOf = if given' "path" then item.path else item.glob;
      trimmed = let found = match "(.*[^/])/+" pathOf; in if found == null then pathOf else head found;
      strange = if given' "capabilities" then unknown (asText item.capabilities) else [ ];
      meant = if elem "cap_${head strange}" known then [ "cap_${head strange}" ] else arguments.similar known (head strange);
      asText = v: if isList v then concatStringsSep " " (map (c: if bare c then "${c}+ep" else c) v) else v;
    in
    if both "path" "glob" then fail "has both `path` and `glob`: write one of them."
    else if !given' "path" && !given' "glob" then fail "has neither `path` nor `glob`: write path = \"/var/lib/app\", for instance."
    else if both "uid" "uname" then fail "has both `uid` and `uname`: write one of them."
    else if both "gid" "gname" then fail "has both `gid` and `gname`: write one of them."
    else if given' "create" && given' "glob" then fail "has `create` and `glob`: write `path` for what shall be made."
    else if all (key: !given' key) [ "mode" "uid" "gid" "uname" "gname" "capabilities" "create" ] then
      fail "changes nothing: write `mode`, `uid`, `gid`, `uname`, `gname` or `capabilities`."
    else if strange != [ ] then
      fail "gives ${head strange}, and there is no such capability: ${if meant != [ ] then "write ${head meant}" else "see capabilities(7)"}."
    else if match "${builtins.storeDir}(/.*)?" pathOf != null then
      fail "is for ${pathOf}, and what is in the store keeps its mode and owner: put the package in `copyToRoot`, and write the path at `/`."
    else {
      path = trimmed;
      isGlob = given' "glob";
      uid = if given' "uname" then item.uname else item.uid;
      gid = if given' "gname" then item.gname else item.gid;
      capabilities = if given' "capabilities" then asText item.capabilities else null;
      creates = given' "create";
      inherit (item) mode recursive;
    };
in
function: perms: genList (i: checked function i (elemAt perms i)) (length perms)
