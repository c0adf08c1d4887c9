# The date of the last commit, as flakes have it.
{ pkgs, self ? { lastModified = 1700000000; lastModifiedDate = "20231114221320"; shortRev = "abcdef0"; }, ... }:
pkgs.dockerTools.buildLayeredImage {
  name = "dated";
  tag = self.shortRev;
  created = builtins.substring 0 4 self.lastModifiedDate + "-" + builtins.substring 4 2 self.lastModifiedDate + "-"
    + builtins.substring 6 2 self.lastModifiedDate + "T00:00:00Z";
  contents = [ pkgs.hello ];
}
