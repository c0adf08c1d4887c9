# How many layers each group of packages may have at the most, lowest first.
#
# Where the user named no number, a group gets a third of what those below it left: 14 of 40, then 9, 6, 4, 3, 2, 1, 1. The
# lowest brings most of the closure; and since the share does not depend on what is above, one package more on top changes no
# layer below. More groups than fit so, or a number that the user named, are shared out evenly.
#
# Type: { count, budget, isNamed } -> [ int ], of `count` numbers, or of `budget` ones where that is less
{ count, budget, isNamed }:
let
  inherit (builtins) genList length;
  third = left: (left + 2) / 3;
  thirds = left: n: if n == 0 || left == 0 then [ ] else [ (third left) ] ++ thirds (left - third left) (n - 1);
  byThirds = thirds budget count;
in
if !isNamed && length byThirds == count then byThirds
else if count > budget then genList (_: 1) budget
else genList (_: budget / count) count
