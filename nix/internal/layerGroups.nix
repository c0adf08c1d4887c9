# A derivation for each root: the layers of its closure, without what the roots below it bring already.
#
# Its inputs are its own root and those below it, so after a change of one root only its own layers and those above are made
# again; and another image with the same first roots has the same derivations.
#
#   groups         lists of roots, lowest first; each list makes one derivation
#   copied         those of the roots, the base's included, that are copied to `/` and are not wanted in the store for that alone
#   below          roots of the base, whose closures are there already …
#   copiedBelow    … but for these themselves, where nothing in the base refers to them
#   unwanted       roots whose closures count, and not they themselves
#   descriptions   derivations that describe layers with store paths: a foreign base, foreign tars
#   shares         each a number, or { most; part; stack; }, see dockertools_py/derivations/layers.py:
#                  layers at the most for each group, of layerShares.nix; of fewer than there are groups, the lowest groups,
#                  which change least, share the first
#   pipeline       what goes in which layer, see dockertools_py/pack/pipeline.py
{ runBuilder, names, ... }:
{ groups, copied ? [ ], unwanted ? [ ], below, copiedBelow ? [ ], descriptions, shares, owner, mtime, pipeline ? null }:
let
  inherit (builtins) concatLists elem elemAt filter genList head length;
  surplus = length groups - length shares;
  joined =
    if surplus == 0 then groups
    else [ (concatLists (genList (elemAt groups) (surplus + 1))) ] ++ genList (i: elemAt groups (surplus + 1 + i)) (length shares - 1);
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
        # Only those that can be in the closure without being referred to, or the groups above would matter here.
        copied = filter (path: elem path (plain roots)) (plain copied);
        copiedBelow = filter (path: elem path (plain lower) && !isWanted path) (plain (copiedBelow ++ copied));
        budget = elemAt shares index;
        below = descriptions;
      } // (if unwanted == [ ] then { } else { unwanted = plain unwanted; }) // (if pipeline == null then { } else { inherit pipeline; });
    };
in
genList describe (length joined)
