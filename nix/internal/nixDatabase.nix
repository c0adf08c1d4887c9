# The layer with Nix's database of the store paths in all layers below it.
#
#   roots    whose closures are known to Nix here; none of them is collected as garbage in a container
#   stack    descriptions of all layers below
#   below    those of them that have something outside the store: a base may have a database of its own
{ runBuilder, zstdProgram, ... }:
{ roots, stack, below, owner, mtime }:
runBuilder {
  name = "nix-database";
  verb = "nix_database";
  graphs = if roots == [ ] then { } else { closure = roots; };
  spec = { inherit roots stack below owner mtime; zstd = zstdProgram; };
}
