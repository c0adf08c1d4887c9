# An executable that pushes what it refers to nothing of: what a registry lacks is realised when it is found lacking.
#
#   description   of an image or an index
#   blobs         derivations with its layers compressed
#   arguments     of `push`
#
# Its attribute `layers` refers to all that a push may realise, for whoever fills the cache.
{ runBuilder, executable, ... }:
{ fileName, description, blobs, arguments }:
let
  lazily = name: isLazy: runBuilder {
    inherit name;
    verb = "lazy";
    near = true;
    spec = { inherit description blobs isLazy; };
  };
in
executable { name = "lazy-push-${fileName}"; arguments = [ "push" ] ++ arguments ++ [ "${lazily "lazy-image" true}" ]; }
  // { layers = lazily "pushed-layers" false; }
