# A package of a few links, texts and directories, by their paths: what goes to `/` with `contents`.
{ runBuilder, ... }:
{ name, links ? { }, texts ? { }, directories ? [ ] }:
runBuilder {
  inherit name;
  verb = "files";
  local = true;
  spec = { inherit links texts directories; };
}
