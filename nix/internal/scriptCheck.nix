# Whether scripts make the same layer each time: runs them once more, and names the first paths that differ.
{ runBuilder, scriptLayer, ... }:
layer:
runBuilder {
  name = "script-check";
  verb = "script_check";
  spec = { first = scriptLayer layer; second = scriptLayer (layer // { again = true; }); };
}
