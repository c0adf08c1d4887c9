# Arguments that mean the same wherever an image is made, and wherever one is taken.
{ names, types, ... }:
{
  # Of the image that is made
  ofResult = {
    name = { type = names.name; };
    tag = { type = names.tag; default = null; };
    created = { type = types.date; default = "1970-01-01T00:00:01Z"; };
    compressor = { type = types.oneOf [ "gz" "none" "zstd" ]; default = "gz"; };
    compressionLevel = { type = types.nullOr types.natural; default = null; };
    meta = { type = types.attrs; default = { }; };
  };

  # Of a base that must be given: the image, and which one of an archive that holds several
  ofBase = {
    fromImage = { type = types.file; };
    fromImageName = { type = types.nullOr types.string; default = null; };
    fromImageTag = { type = types.nullOr types.string; default = null; };
  };
}
