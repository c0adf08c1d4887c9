# Owners and modes as data: the arguments `users`, `groups` and `perms`, for all functions that make a layer at `/`.
#
#   parameters   their types and defaults, for arguments.declare
#   make         function name -> { users; groups; perms; presets?; user?; isAlone?; below? } -> what rootLayer.nix takes as `owners`,
#                null where nothing is asked for
#     presets      like perms, before them, for what the base does not have
#     user         `config.User`, if there is one: names in it must be known
#     isAlone      whether nothing else can bring users and groups (no base, no contents, no script)
#     below        such values of others, applied first: those of a tar by mkTarball
#
# Strings in it may name the store (a user's shell); `mentioned` finds them.
scope@{ arguments, types, ... }:
let
  checkAccounts = import ./accounts.nix scope;
  checkPerms = import ./perms.nix scope;
  inherit (builtins) any concatMap elemAt filter isString length match;

  # What of "user:group" is a name
  names = user:
    let
      parts = filter isString (builtins.split ":" user);
      name = i: if i < length parts && match "[0-9]*" (elemAt parts i) == null then elemAt parts i else null;
    in
    { user = name 0; group = name 1; };
in
{
  parameters = {
    users = { type = types.named; default = { }; };
    groups = { type = types.named; default = { }; };
    perms = { type = types.sets; default = [ ]; };
  };

  make = function: { users, groups, perms, presets ? [ ], user ? "", isAlone ? false, below ? [ ] }:
    let
      own = checkAccounts function { inherit users groups isAlone; } // {
        perms = map (item: item // { yields = true; }) (checkPerms function presets) ++ checkPerms function perms;
      };
      joined = {
        users = concatMap (one: one.users) (below ++ [ own ]);
        groups = concatMap (one: one.groups) (below ++ [ own ]);
        perms = concatMap (one: one.perms) (below ++ [ own ]);
      };
      isDeclared = list: name: any (item: item.name == name) list;
      isDefault = name: joined.users != [ ] && (name == "root" || name == "nobody");
      # Only what is not declared here must be looked up, so that the layer follows `config` only where it must.
      unknown = key: list: let name = (names user).${key}; in if name == null || isDeclared list name then null else name;
      runsAs = { user = unknown "user" joined.users; group = unknown "group" joined.groups; };
      hasOwnGroup = name: any (user: user.name == name && user.group == null) joined.users;
      isAsked = joined.users != [ ] || joined.groups != [ ] || joined.perms != [ ];
    in
    if isAlone && runsAs.user != null && !isDefault runsAs.user then
      arguments.fail function "`config.User` is ${arguments.show user}, and the image has no user ${runsAs.user}, so no container would start: write users.${runsAs.user}.uid = a number, or a number here."
    else if isAlone && runsAs.group != null && !isDefault runsAs.group && !hasOwnGroup runsAs.group then
      arguments.fail function "`config.User` is ${arguments.show user}, and the image has no group ${runsAs.group}, so no container would start: write groups.${runsAs.group}.gid = a number, or a number here."
    else if !isAsked && runsAs.user == null && runsAs.group == null then null
    else builtins.deepSeq joined (joined // { inherit runsAs; });
}
