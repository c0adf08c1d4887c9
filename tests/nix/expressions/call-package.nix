# Of a repository in which everything goes through callPackage.
{ dockerTools, buildEnv, hello, bash, coreutils, lib }:
dockerTools.buildImage {
  name = "call-package";
  tag = "v${hello.version}";
  copyToRoot = buildEnv {
    name = "root";
    paths = [ hello bash coreutils ];
    pathsToLink = [ "/bin" "/share" ];
  };
  config = {
    Entrypoint = [ (lib.getExe hello) ];
    Cmd = null;
  };
}
