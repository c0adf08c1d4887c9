# As it was written before copyToRoot had its name.
with import <nixpkgs> { };
dockerTools.buildImage {
  name = "hello-docker";
  contents = [ hello bash ];
  config = {
    Cmd = [ "${hello}/bin/hello" ];
  };
}
