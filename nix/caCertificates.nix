# caCertificates: certificates of authorities, at the three places where programs look for them.
#
# Type: a package for `contents`
#
# Arguments: none; the certificates are those of the package `cacert`.
#
# Example:
#   build { name = "client"; contents = [ caCertificates ]; }
{ fileTree, arguments, caFile, ... }:
if caFile == null then arguments.fail "caCertificates" "the package set has no `cacert`: give one to the scope, nix/default.nix."
else fileTree {
  name = "ca-certificates";
  links = {
    "etc/ssl/certs/ca-bundle.crt" = caFile;
    "etc/ssl/certs/ca-certificates.crt" = caFile;
    "etc/pki/tls/certs/ca-bundle.crt" = caFile;
  };
}
