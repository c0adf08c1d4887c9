# A derivation for each root: the layers of its closure, without what the roots below it bring already.
#
# Its inputs are its own root and those below it, so after a change of one root only its own layers and those above are made
# again; and another image with the same first roots has the same derivations.
#
#   groups         lists of roots, lowest first; each list makes one derivation
#   copied         those of the roots, the base's included, that are copied to `/` and are not wanted in the store for that alone
#   below          roots of the base, whose closures are there already …
#   copiedBelow    … but for these themselves, where nothing in the base refers to them
#   descriptions   derivations that describe layers with store paths: a foreign base, foreign tars
#   budget         layers at the most, for all groups together
{ runBuilder, names, ... }:
{ groups, copied ? [ ], below, copiedBelow ? [ ], descriptions, budget, owner, mtime }:
let
  inherit (builtins) concatLists elem elemAt filter genList head length;
  count = length groups;
  # More groups than layers: the lowest, which change least, share one.
  surplus = count - budget;
  joined =
    if surplus <= 0 then groups
    else [ (concatLists (genList (elemAt groups) (surplus + 1))) ] ++ genList (i: elemAt groups (surplus + 1 + i)) (budget - 1);
  share = if count == 0 then 0 else if surplus > 0 then 1 else budget / count;
  plain = map builtins.unsafeDiscardStringContext;
  describe = index:
    let
      roots = elemAt joined index;
      groupsBelow = concatLists (genList (elemAt joined) index);
      lower = below ++ groupsBelow;
      # What the base only copied is there once a group below had it as a root that is wanted in the store.
      isWanted = path: elem path (plain groupsBelow) && !elem path (plain copied);
    in
    runBuilder {
      name = "${names.ofPath (head roots)}-layers";
      verb = "layers";
      graphs = { closure = roots; } // (if lower == [ ] then { } else { belowClosure = lower; });
      spec = {
        inherit roots owner mtime;
        copied = plain copied;
        copiedBelow = filter (path: !isWanted path) (plain (copiedBelow ++ copied));
        budget = share;
        below = descriptions;
      };
    };
in
genList describe (length joined)
