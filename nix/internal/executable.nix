# A small executable that runs this program with some arguments, before those that it is given itself.
{ runBuilder, program, python3, bash, ... }:
{ name, arguments }:
runBuilder {
  inherit name;
  verb = "script";
  near = true;
  spec = {
    bash = "${bash}/bin/bash";
    command = [ "${python3}/bin/python3" "-I" "-S" "-B" "${program.tool}/dockertools_py" ] ++ arguments;
  };
}
