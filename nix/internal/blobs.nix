# The layers of some descriptions compressed; nothing where `compressor` is "none".
#
# A derivation of its own: whoever streams or loads an image never compresses, and whoever archives it twice does so once.
{ runBuilder, zstdProgram, ... }:
{ name, descriptions, except ? [ ], compressor, compressionLevel }:
if compressor == "none" then [ ]
else [
  (runBuilder {
    name = "${name}-${compressor}";
    verb = "blobs";
    spec = { layers = descriptions; inherit except compressor; level = compressionLevel; zstd = zstdProgram; };
    # What it holds of store paths is compressed; a listing of file names is all that could be found.
    forget = false;
  })
]
