# A service that is not root: its user, a directory that it may write to, and a /tmp for all.
pkgs: with pkgs; dockerTools.build {
  name = "nonroot";
  contents = [ bash coreutils ];
  users.app = { uid = 1000; description = "a service"; shell = "/bin/bash"; };
  perms = [
    { path = "/tmp"; create = "directory"; mode = "1777"; }
    { path = "/var/lib/app"; create = "directory"; mode = "0750"; uname = "app"; gname = "app"; }
  ];
  config = {
    User = "app";
    WorkingDir = "/var/lib/app";
    Cmd = [ "/bin/bash" "-c" "id; echo started > state; stat -c '%a %U:%G %n' $PWD state /tmp ~" ];
  };
}
