# A program and nothing else.
pkgs: with pkgs; dockerTools.build {
  name = "hello";
  contents = [ hello ];
  config.Cmd = [ "/bin/hello" ];
}
