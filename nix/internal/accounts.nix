# `users` and `groups`, checked, as the builder takes them.
#
# Type: function name -> { users; groups; isAlone; } -> { users = [ … ]; groups = [ … ]; }
#
#   users, groups   sets by name, or lists of sets with `name`
#   isAlone         whether nothing else can bring groups: then one that is not known here is known nowhere
#
# What the base and the contents have is known only to the build, which merges: dockertools_py/pack/accounts.py.
{ arguments, types, ... }:
let
  record = import ./record.nix;
  inherit (builtins) all attrNames concatMap elem elemAt filter genList head isAttrs isList isString length map match stringLength;

  name = {
    check = v: isString v && match "[A-Za-z_][A-Za-z0-9_.-]*[$]?" v != null && stringLength v <= 32;
    rule = "a name: up to 32 letters, digits, . _ -, beginning with a letter or _";
  };
  names = { check = v: isList v && all name.check v; rule = "a list of names"; };
  # A field of passwd(5)
  text = { check = v: isString v && match "[^:\n]*" v != null; rule = "a string without `:` and line ends"; };
  path = {
    check = v: text.check v && match "/.*" v != null && match "(.*/)?[.][.](/.*)?" v == null;
    rule = "an absolute path without `:` and `..`";
  };
  shell = {
    check = v: path.check v || (isAttrs v && v ? shellPath);
    rule = "a path such as \"/bin/sh\", or a package that says where in it a shell is (shellPath)";
  };

  fields = {
    users = {
      uid = { type = types.id; };
      gid = { type = types.nullOr types.id; default = null; };
      group = { type = types.nullOr name; default = null; };
      description = { type = types.nullOr text; default = null; };
      home = { type = types.nullOr path; default = null; };
      shell = { type = types.nullOr shell; default = null; };
      createHome = { type = types.nullOr types.bool; default = null; };
      homeMode = { type = types.mode; default = "0700"; };
      extraGroups = { type = names; default = [ ]; };
    };
    groups = {
      gid = { type = types.id; };
      members = { type = names; default = [ ]; };
    };
  };

  checked = function: argument: given:
    let
      ofList = i: record function "${argument}[${toString i}]" (fields.${argument} // { name = { type = name; }; }) (elemAt given i);
      ofSet = key:
        if name.check key then record function "${argument}.${key}" fields.${argument} given.${key} // { name = key; }
        else arguments.wrong function "a name in ${argument}" key name.rule;
      number = { users = "uid"; groups = "gid"; }.${argument};
      isRoot = item:
        if item.name != "root" || item.${number} == 0 then item
        else arguments.fail function "`${argument}.root.${number}` is ${toString item.${number}}: write 0, or another name.";
    in
    map isRoot (if isList given then genList ofList (length given) else map ofSet (attrNames given));

  # Raises an error for the first two of which neither the name nor the number is their own.
  distinct = function: argument: number: items:
    let
      pairs = concatMap (i: map (j: { one = elemAt items i; other = elemAt items j; }) (genList (j: j) i)) (genList (i: i) (length items));
      named = filter (pair: pair.one.name == pair.other.name) pairs;
      numbered = filter (pair: pair.one.${number} == pair.other.${number}) pairs;
      where = item: "`${argument}.${item.name}.${number}`";
    in
    if named != [ ] then arguments.fail function "`${argument}` has `${(head named).one.name}` twice: take one out."
    else if numbered != [ ] then let pair = head numbered; in
      arguments.fail function "${where pair.other} and ${where pair.one} are both ${toString pair.one.${number}}: write another number for one of them."
    else items;
in
function: { users, groups, isAlone }:
let
  groupList = distinct function "groups" "gid" (checked function "groups" groups);
  userList = map complete (distinct function "users" "uid" (checked function "users" users));

  complete = user:
    if user.gid != null && user.group != null then
      arguments.fail function "`users.${user.name}` has both `gid` and `group`: write one of them."
    else if user.createHome == true && elem user.home [ "/" "/var/empty" "/nonexistent" ] then
      arguments.fail function "`users.${user.name}.home` is ${user.home}, which no user may own: write another one, or leave out `createHome`."
    else user // { shell = if isAttrs user.shell then "${user.shell}${user.shell.shellPath}" else user.shell; };

  known = map (group: group.name) groupList ++ map (user: user.name) (filter (user: user.group == null) userList) ++ [ "root" "nobody" ];
  checkGroups = user:
    let
      asked = (if user.group == null then [ ] else [{ key = "group"; name = user.group; }]) ++ map (name: { key = "extraGroups"; inherit name; }) user.extraGroups;
      unknown = filter (group: !elem group.name known) asked;
    in
    if unknown == [ ] then user
    else arguments.fail function "`users.${user.name}.${(head unknown).key}` has ${(head unknown).name}, and there is no such group: write groups.${(head unknown).name}.gid = a number.";
in
{
  groups = groupList;
  users = if isAlone then map checkGroups userList else userList;
}
