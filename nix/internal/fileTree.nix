# A package of a few links, texts and directories, by their paths: what goes to `/` with `contents`.
{ runBuilder, ... }:
{ name, links ? { }, texts ? { }, executables ? { }, directories ? [ ] }:
runBuilder {
  inherit name;
  verb = "files";
  local = true;
  spec = { inherit links texts executables directories; };
}
# So small that all of them share a layer
// { dockertoolsHelper = true; }
