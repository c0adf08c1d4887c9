# The layers of an image's packages: how many there may be, and which derivations make them.
#
# Type: { … } -> { layers, referred, bound }: the layers of `groups`; those of what `referring` refers to, above them; and how many
# layers the image has at the most
#
#   function     who is called, for errors
#   maxLayers    of the user, or null
#   base         { bound stack roots descriptions copied } of the image below, each empty where there is none
#   hasBase      whether there is one
#   groups       lists of roots, lowest first
#   referring    store paths of which all that they refer to is wanted, and not they themselves
#   others       how many layers there are beside those of packages
#   counted      null, or from `others` to what the build counts by: of functions that leave the number to it
#   copied       paths that are copied to `/`, and not wanted in the store for that alone
#   isWanted     whether one of the base's copied paths is wanted in the store after all
#   pipeline     null, or nixpkgs' operations that say what goes in which layer
#   owner, mtime of the files
{ arguments, layerGroups, layerShares, ... }:
{ function, maxLayers, base, hasBase, groups, referring, others, counted, copied, isWanted, pipeline, owner, mtime }:
let
  inherit (builtins) concatLists elem filter foldl' length unsafeDiscardStringContext;
  isNamed = maxLayers != null;
  room = (if isNamed then maxLayers else 125) - base.bound - others;
  shares = layerShares { inherit isNamed; count = length groups; budget = if !isNamed && room > 40 then 40 else room; };
  # Where what evaluation knows of the base is too little, the build counts its layers; the packages are one derivation then.
  byBuild =
    if pipeline == null && (!hasBase || (counted == null && (isNamed || room >= 1))) then null
    else { most = 125 - others; part = 1; inherit (base) stack; } // (if pipeline == null && counted != null then counted others else { });
  common = {
    inherit copied owner mtime pipeline;
    inherit (base) descriptions;
    copiedBelow = base.copied;
    below = base.roots;
  };
  isInGroups = path: elem (unsafeDiscardStringContext path) (map unsafeDiscardStringContext (concatLists groups));
in
{
  layers =
    if groups == [ ] then [ ]
    else if byBuild != null then layerGroups (common // { groups = [ (concatLists groups) ]; shares = [ byBuild ]; })
    else if room < 1 then arguments.fail function "`maxLayers` is ${if isNamed then toString maxLayers else "125"}: the base may have ${toString base.bound} layers and ${toString others} more are needed beside those of the packages; write a larger number (125 at the most), or give the base a smaller one."
    else layerGroups (common // { inherit groups shares; });
  referred = if referring == [ ] then [ ] else layerGroups (common // {
    groups = [ referring ];
    unwanted = referring;
    pipeline = null;
    shares = [ 1 ];
    below = common.below ++ concatLists groups;
    # What the base only copied is whole where a group wants it.
    copiedBelow = filter (path: !(isInGroups path && isWanted path)) base.copied;
  });
  bound = if byBuild != null then 125 else base.bound + others + (if groups == [ ] then 0 else foldl' builtins.add 0 shares);
}
