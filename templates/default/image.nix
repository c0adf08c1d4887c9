# The image. All that may be written here: docs/reference.md of dockertools_py.
pkgs: with pkgs;
let
  greeter = writeTextDir "app/greeter.py" (builtins.readFile ./greeter.py);
in
dockerTools.build {
  name = "greeter";
  tag = "1.0";

  # Each has layers of its own. What changes most comes last: after a change of the program only its layer is made again.
  layers = [ python3 ];
  copyToRoot = [ greeter ];

  config = {
    Cmd = [ "${python3}/bin/python3" "/app/greeter.py" ];
    ExposedPorts."8080/tcp" = { };
    User = "1000:1000";
  };
}
