# The one seam between Nix and Python: every derivation of ours is made here.
#
#   name     of the derivation: never the image's where the output does not depend on it
#   verb     the module of dockertools_py/derivations that builds it
#   spec     what it is told, as any Nix value; store paths in it become inputs
#   graphs   { name = [ store paths ]; }: their closures, with sizes and references
#   local    true for small outputs: making them is cheaper than asking a cache or another machine for them
#   forget   true when the output names store paths that it does not need (an archive)
#
# The builder is python itself: no stdenv and no shell, so that a build costs tens of milliseconds. All it is told comes as
# JSON in a file, since lists of thousands of paths fit neither a command line nor the environment.
{ python3, program, system, ... }:
{ name, verb, spec, graphs ? { }, local ? false, forget ? false, meta ? { } }:
derivation
  ({
    inherit name system;
    builder = "${python3}/bin/python3";
    args = [ "-I" "-S" "-B" "${program.builder}/dockertools_py" "derivation" ];
    __structuredAttrs = true;
    exportReferencesGraph = graphs;
    spec = spec // { inherit verb; };
  }
  // (if local then { preferLocalBuild = true; allowSubstitutes = false; } else { })
  # Nix before 2.14 does not know it and keeps the references.
  // (if forget then { unsafeDiscardReferences.out = true; } else { }))
  // { inherit meta; }
