# A service that keeps its data in a volume.
pkgs: with pkgs; dockerTools.build {
  name = "redis";
  contents = [ redis ];
  extraCommands = "mkdir data";
  config = {
    Cmd = [ "/bin/redis-server" "--dir" "/data" "--bind" "0.0.0.0" "--protected-mode" "no" ];
    ExposedPorts."6379/tcp" = { };
    WorkingDir = "/data";
    Volumes."/data" = { };
  };
}
