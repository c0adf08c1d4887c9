# The jobs of Hydra: of each example its archive, its layout and the check of both; the program; and `release`, which is there
# when all of these are. The flake's hydraJobs are the same.
#
# As a legacy jobset: Nix expression `nix/hydra.nix` in the input of this repository, and an input `nixpkgs`, a checkout of it.
#
# Type: { nixpkgs, supportedSystems } -> { JOB.archive.SYSTEM, JOB.layout.SYSTEM, JOB.check.SYSTEM, …, release }
#   nixpkgs            a package set as a path: `import nixpkgs { inherit system; }`
#   supportedSystems   for which systems there are jobs
#
# nix-build nix/hydra.nix -A hello.archive.x86_64-linux --arg nixpkgs '<nixpkgs>'
{ nixpkgs ? <nixpkgs>
, supportedSystems ? [ "x86_64-linux" "aarch64-linux" ]
}:
let
  inherit (builtins) attrNames attrValues concatMap elemAt head listToAttrs readFile removeAttrs split;

  version = head (elemAt (split "__version__ = \"([0-9.]+)\"" (readFile ../dockertools_py/__init__.py)) 1);

  forSystems = make: listToAttrs (map (system: { name = system; value = make system; }) supportedSystems);
  every = forSystems (system:
    let
      ours = import ../. { pkgs = import nixpkgs { inherit system; }; };
    in
    import ./internal/commandLine.nix ours.pkgs // {
      inherit (ours.dockerTools) hydraProducts;
      examples = removeAttrs ours [ "dockerTools" "pkgs" ];
    });

  about = description: {
    inherit description;
    license = { shortName = "mit"; spdxId = "MIT"; fullName = "MIT License"; free = true; };
    maintainers = [ ];
    platforms = supportedSystems;
    timeout = 3600; # seconds
  };

  jobs = name:
    let
      make = what: job: forSystems (system: job system every.${system} // { meta = about "Example image ${name}: ${what}"; });
      products = formats: _: of: of.hydraProducts { image = of.examples.${name}; inherit formats; };
      archive = make "a file for docker load" (products [ "archive" ]);
      layout = make "an OCI layout, as directory and as one file" (products [ "layout" "oci-archive" ]);
    in
    {
      inherit archive layout;
      check = make "every digest in its files recomputed" (system: of: of.validate {
        name = "${name}-check";
        files = concatMap (job: map (file: "${job}/${file}") job.files) [ archive.${system} layout.${system} ];
      });
    };
  names = attrNames every.${head supportedSystems}.examples;
  all = listToAttrs (map (name: { inherit name; value = jobs name; }) names) // {
    dockertools-py.program = forSystems (system: every.${system}.program // { meta = about "The command line"; });
  };
in
all // {
  release = every.${head supportedSystems}.release {
    constituents = concatMap attrValues (concatMap attrValues (attrValues all));
    releaseName = "dockertools-py-${version}";
    meta = about "All examples, checked, and the command line";
  };
}
