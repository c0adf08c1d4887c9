# The platform of an image, from Nix's name of the system, in Go's words as OCI wants them.
let
  architectures = {
    x86_64 = "amd64"; aarch64 = "arm64"; i686 = "386"; armv7l = "arm"; armv6l = "arm"; riscv64 = "riscv64";
    powerpc64le = "ppc64le"; s390x = "s390x"; mips64el = "mips64le"; loongarch64 = "loong64";
  };
  variants = { armv7l = "v7"; armv6l = "v6"; };
  cpu = system: builtins.head (builtins.match "([^-]+)-.*" system);
in
{
  # What an image of ours is for is known to evaluation; which variant runs on which, and what others are for, to the build.
  # Type: platform -> platform -> bool, string
  mayRunOn = wanted: one: one.os or "linux" == wanted.os && one.architecture == wanted.architecture;
  show = one: builtins.concatStringsSep "/" ([ (one.os or "linux") one.architecture ] ++ (if one.variant or "" == "" then [ ] else [ one.variant ]));

  # Type: architecture or null -> variant or null -> system -> { os; architecture; variant? }
  make = architecture: variant: system:
    {
      os = "linux";
      architecture = if architecture == null then architectures.${cpu system} or (cpu system) else architecture;
    }
    // (
      let own = if variant != null then variant else if architecture == null then variants.${cpu system} or "" else ""; in
      if own == "" then { } else { variant = own; }
    );
}
