# The images that the engines are asked to load, in the form of a user's expression.
let
  set = import ../.. { };
  inherit (set) dockerTools;
in
{
  inherit (set) bash bash-python bash-python-perl just-python hello redis nginx;

  # One image composed of two independent ones …
  merged = dockerTools.mergeImages {
    name = "merged";
    image1 = set.bash;
    image2 = set.just-python;
  };

  # … and one archive that holds two images.
  bundle = dockerTools.mergeImages [ set.hello set.bash ];
}
