# A config on top of another, as FROM in a Dockerfile has it: for the attribute `config`; the image itself is made by the twin
# of this, dockertools_py/model/container_config.py.
#
# Type: config -> config -> config
let
  inherit (builtins) attrNames elem filter foldl' head listToAttrs mapAttrs removeAttrs split;
  nameOf = variable: head (split "=" variable);

  # Each name once: at its first place, with its last value.
  mergeEnv = base: own:
    let
      all = base ++ own;
      last = foldl' (found: variable: found // { ${nameOf variable} = variable; }) { } all;
      names = foldl' (done: variable: if elem (nameOf variable) done then done else done ++ [ (nameOf variable) ]) [ ] all;
    in
    map (name: last.${name}) names;

  merge = base: key: setting:
    if key == "Env" then mergeEnv (base.Env or [ ]) setting
    else if elem key [ "ExposedPorts" "Volumes" "Labels" ] then (base.${key} or { }) // setting
    else setting;
in
{
  # As a function: the second config on top of the first.
  __functor = _: base: own: (if own ? Entrypoint then removeAttrs base [ "Cmd" ] else base) // mapAttrs (merge base) own;

  # What of a base's config is inherited: "all", "env", "none" or a list of keys.
  select = keys: base:
    let wanted = { none = [ ]; env = [ "Env" ]; }.${keys} or [ ]; in
    if keys == "all" then base
    else listToAttrs (map (name: { inherit name; value = base.${name}; })
      (filter (name: base ? ${name}) (if builtins.isList keys then keys else wanted)));
}
