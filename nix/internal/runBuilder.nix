# The one seam between Nix and Python: every derivation of ours is made here.
#
#   name     of the derivation: never the image's where the output does not depend on it
#   verb     the module of dockertools_py/derivations that builds it
#   spec     what it is told, as any Nix value; store paths in it become inputs
#   graphs   { name = [ store paths ]; }: their closures, with sizes and references
#   local    true for small outputs of small inputs: making them is cheaper than asking a cache or another machine for them
#   near     true for work that costs less than to send its inputs to another machine and its output back; a cache is asked
#   forget   true when the output names store paths that it does not need (an archive)
#   features of the machine that builds it, in Nix's words
#   outputs  the names of all, where there are more than `out`
#   fixed    { outputHash; outputHashAlgo; } of an output that is fetched: it may use the network, since its bytes are known
#
# The builder is python itself: no stdenv and no shell, so that a build costs tens of milliseconds. All it is told comes as
# JSON in a file, since lists of thousands of paths fit neither a command line nor the environment.
{ python3, program, system, ... }:
let
  # Of whoever runs Nix, or of its daemon: what a fetcher may look at. None of it is in the output, whose hash is fixed.
  impureEnvVars = [
    "http_proxy" "https_proxy" "all_proxy" "no_proxy" "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY" "NO_PROXY"
    "NIX_SSL_CERT_FILE" "SSL_CERT_FILE"
    "DOCKER_AUTH_CONFIG" "REGISTRY_AUTH_FILE" "DOCKER_CONFIG" "NETRC"
  ];
  # What is fetched may name store paths, though a fixed output has no references. Before 2.18 Nix cannot overlook them, and
  # the builder says so before Nix crashes. Here alone it does no harm to ask for the version: it changes no output path.
  overlooksReferences = builtins.compareVersions builtins.nixVersion "2.18" >= 0;
in
{ name, verb, spec, graphs ? { }, local ? false, near ? local, forget ? fixed != null && overlooksReferences, features ? [ ], fixed ? null, outputs ? [ "out" ], meta ? { } }:
derivation
  ({
    inherit name system;
    builder = "${python3}/bin/python3";
    args = [ "-I" "-S" "-B" "${if fixed == null then program.builder else program.fetcher}/dockertools_py" "derivation" ];
    __structuredAttrs = true;
    exportReferencesGraph = graphs;
    spec = spec // { inherit verb; } // (if fixed == null then { } else { refuseReferences = !overlooksReferences; });
  }
  // (if outputs == [ "out" ] then { } else { inherit outputs; })
  // (if near then { preferLocalBuild = true; } else { })
  // (if local then { allowSubstitutes = false; } else { })
  // (if features == [ ] then { } else { requiredSystemFeatures = features; })
  # Nix before 2.14 does not know it and keeps the references.
  // (if forget then { unsafeDiscardReferences.out = true; } else { })
  // (if fixed == null then { } else fixed // { outputHashMode = "flat"; inherit impureEnvVars; preferLocalBuild = true; }))
  // { inherit meta; }
