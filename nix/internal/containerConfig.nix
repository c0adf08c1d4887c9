# The check of `config`: an image with `Cmd = "x"` would be built, and then loaded by nobody.
#
# Twin of dockertools_py/model/container_config.py, which checks what comes from files. Keys: OCI image spec 1.1, config.md,
# and Docker's further ones (Docker image spec v1.2).
let
  arguments = import ./arguments.nix;
  inherit (builtins) all attrNames attrValues concatStringsSep elem filter head isAttrs isBool isInt isList isPath isString listToAttrs match;

  text = v: isString v || isPath v || (isAttrs v && v ? outPath);
  asText = v: if isString v then v else "${v}";
  names = keys: rule: listToAttrs (map (name: { inherit name; value = rule; }) keys);
  set = v: isAttrs v && !(v ? outPath) && all (item: item == { } || item == null) (attrValues v);

  strings = {
    check = v: isList v && all text v;
    rule = key: v:
      if text v then "a list of strings: config.${key} = [ ${arguments.show v} ]"
      else "a list of strings";
    make = map asText;
  };
  plain = type: rule: { check = type; rule = _: _: rule; make = v: v; };
  string = plain text "a string" // { make = asText; };
  boolean = plain isBool "true or false";
  number = plain isInt "a whole number";

  rules =
    names [ "Entrypoint" "Cmd" "Shell" "OnBuild" ] strings
    // names [ "User" "WorkingDir" "StopSignal" "Hostname" "Domainname" "Image" "MacAddress" ] string
    // names [ "ArgsEscaped" "AttachStdin" "AttachStdout" "AttachStderr" "Tty" "OpenStdin" "StdinOnce" "NetworkDisabled" ] boolean
    // names [ "Memory" "MemorySwap" "CpuShares" "StopTimeout" ] number
    // {
      Env = {
        check = v: isList v && all (item: text item && match "[^=]+=.*" (flat (asText item)) != null) v;
        rule = _: v:
          if isAttrs v && !(v ? outPath) then "a list of \"NAME=value\" strings: config.Env = [ ${concatStringsSep " " (map (n: "\"${n}=…\"") (attrNames v))} ]"
          else "a list of \"NAME=value\" strings";
        make = map asText;
      };
      ExposedPorts = {
        check = v: set v && all (port: match "[0-9]+(-[0-9]+)?/(tcp|udp|sctp)" port != null) (attrNames v);
        rule = _: v:
          let
            ports = if isAttrs v then attrNames v else map toString (filter (port: isInt port || isString port) (if isList v then v else [ v ]));
            bare = filter (port: match "[0-9]+" port != null) ports;
          in
          "ports with their protocol: config.ExposedPorts = { \"${if bare == [ ] then "80" else head bare}/tcp\" = { }; };";
        make = v: builtins.mapAttrs (_: _: { }) v;
      };
      Volumes = {
        check = set;
        rule = _: v:
          let paths = if isAttrs v then attrNames v else if isList v then filter isString v else [ ]; in
          "a set of paths: config.Volumes = { \"${if paths == [ ] then "/data" else head paths}\" = { }; };";
        make = v: builtins.mapAttrs (_: _: { }) v;
      };
      Labels = {
        check = v: isAttrs v && all text (attrValues v);
        rule = _: _: "a set of strings: config.Labels = { \"org.opencontainers.image.title\" = \"app\"; };";
        make = builtins.mapAttrs (_: asText);
      };
      Healthcheck = plain isAttrs "a set such as { Test = [ \"CMD\" \"/bin/check\" ]; }";
    };

  # Patterns stop at line ends on some C libraries.
  flat = builtins.replaceStrings [ "\n" ] [ " " ];
in
{
  # All keys
  keys = attrNames rules;

  # As a function: function name -> config -> config of strings
  __functor = _: function: config:
    let
      check = key: value:
        let
          rule = rules.${key} or (unknown key);
        in
        if rule.check value then rule.make value
        else arguments.wrong function "config.${key}" value (rule.rule key value);
      unknown = key:
        let meant = arguments.similar (attrNames rules) key; in
        arguments.fail function (
          "unknown key `config.${key}`; "
          + (if meant != [ ] then "write `${head meant}`." else "a container's config has ${concatStringsSep " " (attrNames rules)}.")
        );
      given = filter (key: config.${key} != null) (attrNames config);
    in
    if !isAttrs config then arguments.wrong function "config" config "a set such as { Cmd = [ \"/bin/sh\" ]; }"
    else listToAttrs (map (name: { inherit name; value = check name config.${name}; }) given);
}
