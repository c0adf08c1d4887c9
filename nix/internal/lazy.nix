# Executables that push and load what they refer to nothing of: a layer that a registry or an engine lacks is realised then.
#
#   description   of an image or an index
#   blobs         derivations with its layers compressed
#   push, load    arguments of these verbs
#
# The attribute `layers` of each refers to all that may be realised, for whoever fills the cache.
{ runBuilder, executable, ... }:
{ fileName, description, blobs, push, load }:
let
  lazily = name: isLazy: runBuilder {
    inherit name;
    verb = "lazy";
    near = true;
    spec = { inherit description blobs isLazy; };
  };
  make = verb: arguments:
    executable { name = "lazy-${verb}-${fileName}"; arguments = [ verb ] ++ arguments ++ [ "${lazily "lazy-image" true}" ]; }
    // { layers = lazily "lazy-layers" false; };
in
{
  lazyPush = make "push" push;
  lazyLoad = make "load" load;
}
