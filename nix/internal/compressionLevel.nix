# The level to compress with: what was given, if the compressor has it, or the default. Why 2: see pack/compression.py.
{ arguments, types, ... }:
function: compressor: level:
let
  levels = { gz = { type = types.between 1 9; default = 2; }; zstd = { type = types.between 1 19; default = 3; }; none = { type = types.any; default = 0; }; }.${compressor};
in
if level == null then levels.default
else if levels.type.check level then level
else arguments.wrong function "compressionLevel" level "${levels.type.rule} for compressor \"${compressor}\""
