{
  description = "Container images from Nix closures: deterministic, composable, without Docker, daemon, VM or root";

  # Not as a flake: so any folder with a default.nix that takes `system` may stand in for it, as the embedded set does:
  #   nix build --impure --override-input nixpkgs path:./nix/hostpkgs .#bash-python
  inputs.nixpkgs = {
    url = "github:NixOS/nixpkgs/nixos-unstable";
    flake = false;
  };

  outputs = { self, nixpkgs }:
    let
      inherit (builtins) listToAttrs mapAttrs removeAttrs;
      # The embedded set reads the packages of the machine that it is on.
      isEmbedded = builtins.pathExists (nixpkgs + "/debian.nix");
      systems = if isEmbedded then [ builtins.currentSystem ] else [ "x86_64-linux" "aarch64-linux" ];
      perSystem = make: listToAttrs (map (system: { name = system; value = make system; }) systems);
      ours = perSystem (system: import ./. { pkgs = import nixpkgs { inherit system; }; });
      examples = system: removeAttrs ours.${system} [ "dockerTools" "pkgs" ];
      commandLine = perSystem (system: import ./nix/internal/commandLine.nix ours.${system}.pkgs);
    in
    {
      lib.dockerTools = import ./nix/internal/fromPackages.nix; # pkgs -> { build mkTarball mergeImages … }
      overlays.default = import ./nix/overlay.nix;

      # nix flake init --template …
      templates.default = {
        path = ./templates/default;
        description = "A small service in a container image: nix build, nix run .#load, nix run .#push";
        welcomeText = "Name in `flake.nix` where you have dockertools_py from; README.md says how to go on.";
      };

      # nix run .#bash-python.load
      packages = perSystem (system: mapAttrs (_: commandLine.${system}.runnable) (examples system) // {
        dockertools-py = commandLine.${system}.program;
        default = ours.${system}.bash-python;
      });
      # Every example's archive, read again and each digest recomputed
      checks = perSystem (system: mapAttrs (_: commandLine.${system}.validated) (examples system));
      apps = perSystem (system: {
        default = {
          type = "app";
          program = "${commandLine.${system}.program}";
          meta.description = "The command line: inspect, validate, stream and write images";
        };
      });
      hydraJobs = import ./nix/hydra.nix { inherit nixpkgs; supportedSystems = systems; };
    };
}
