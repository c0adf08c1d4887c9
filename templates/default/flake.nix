{
  description = "A small service in a container image";

  inputs = {
    # As files, not as a flake: any package set may stand in for it.
    nixpkgs = { url = "github:NixOS/nixpkgs/nixos-unstable"; flake = false; };
    # Where you have it from; of a checkout: nix flake lock --override-input dockertools-py path:/PATH/OF/IT
    dockertools-py = { url = "git+https://example.org/dockertools_py"; inputs.nixpkgs.follows = "nixpkgs"; };
  };

  outputs = { self, nixpkgs, dockertools-py }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      perSystem = make: builtins.listToAttrs (map (system: { name = system; value = make (packagesOf system); }) systems);
      packagesOf = system:
        let pkgs = import nixpkgs { inherit system; }; in
        pkgs // { dockerTools = dockertools-py.lib.dockerTools pkgs; };
      image = pkgs: import ./image.nix pkgs;
      app = what: description: { type = "app"; program = "${what}"; meta = { inherit description; }; };
    in
    {
      packages = perSystem (pkgs: { default = image pkgs; });
      apps = perSystem (pkgs: {
        load = app (image pkgs).load "Bring the image into Docker, Podman or containerd: of its layers those that are not there";
        push = app (image pkgs).push "Send what is missing to a registry: nix run .#push -- registry.example.org/team/greeter:1.0";
      });
      # What Hydra shows of it
      hydraJobs.image = perSystem (pkgs: pkgs.dockerTools.hydraProducts { image = image pkgs; });
    };
}
