# shadowSetup: a piece of bash for `runAsRoot`, or for `fakeRootCommands` with `enableFakechroot`: after it useradd, groupadd and
# the like work.
#
# Type: a string
#
# Arguments: none; the programs are those of the package `shadow`.
#
# It makes what is not there yet of /etc/passwd, shadow, group, gshadow, login.defs and pam.d/other. Of links, as those of
# fakeNss into the store, it makes files: useradd opens none.
#
# Example:
#   buildImage {
#     name = "app";
#     runAsRoot = ''
#       ${shadowSetup}
#       groupadd -r app; useradd -r -g app app
#     '';
#   }
{ arguments, shadow, ... }:
if shadow == null then arguments.fail "shadowSetup" "the package set has no `shadow`: give one to the scope, nix/default.nix."
else ''
  export PATH=${shadow}/bin:$PATH
  mkdir -p /etc/pam.d
  (
    cd /etc
    for name in passwd shadow group gshadow; do
      [ ! -L $name ] || [ ! -e $name ] || install -m 644 "$(readlink -f $name)" $name
    done
  )
  [ -e /etc/passwd ] || echo "root:x:0:0::/root:/bin/sh" > /etc/passwd
  [ -e /etc/shadow ] || (umask 027; echo "root:!x:::::::" > /etc/shadow)
  [ -e /etc/group ] || echo "root:x:0:" > /etc/group
  [ -e /etc/gshadow ] || (umask 027; echo "root:x::" > /etc/gshadow)
  [ -e /etc/login.defs ] || touch /etc/login.defs
  [ -e /etc/pam.d/other ] || printf '%s\n' \
    "account sufficient pam_unix.so" \
    "auth sufficient pam_rootok.so" \
    "password requisite pam_unix.so nullok yescrypt" \
    "session required pam_unix.so" > /etc/pam.d/other
''
