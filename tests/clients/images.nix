# What the engines are asked to load: the examples, …
let
  set = import ../.. { };
in
{
  inherit (set) bash bash-python bash-python-perl just-python merged hello redis nginx;

  # … and one archive that holds two images.
  bundle = set.dockerTools.mergeImages [ set.hello set.bash ];

  # … and a folder with those of nixpkgs' functions.
  dropin = import ./dropin.nix set;
}
