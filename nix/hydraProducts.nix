# hydraProducts: an image as Hydra shows it: files to download, reports, a release name, and numbers whose history it draws.
#
# Type: { image, … } -> a derivation whose output is a directory with the files and `nix-support`
#
# Arguments:
#   image             an image of ours
#   formats           what to offer of it: "archive" for `docker load`, "layout" (a directory), "oci-archive"; a list
#   reports           { "inspect.txt" = file; }: files, or directories with an index.html, to be shown beside it
#   releaseName       of the build; null: name and tag of the image
#   meta              of the derivation, on top of the image's
#
# The files lie in the output itself, since Hydra shows nothing else. They are made of the layers, not copied from the image's
# own archive: nobody has to build that too, or to store it.
#
# Example:
#   hydraProducts { image = app; formats = [ "archive" "oci-archive" ]; }
{ arguments, types, files, names, runBuilder, ... }:
let
  inherit (builtins) all attrNames isAttrs isList isString listToAttrs mapAttrs match;

  suffixes = { archive = ".tar"; layout = "-oci"; oci-archive = "-oci.tar"; };
  image = {
    check = v: isAttrs v && v ? dockertoolsImage && v ? imageName;
    rule = "an image, as build, mergeImages { … }, flattenImage, mkDelta, toLayered and pullImage { lock = …; } make it";
  };
  formats = {
    check = v: isList v && v != [ ] && all (format: isString format && suffixes ? ${format}) v;
    rule = "a list of \"archive\", \"layout\" or \"oci-archive\"";
  };
  # What Hydra takes: its build-result.cc
  releaseName = { check = v: isString v && match "[a-zA-Z0-9.@:_-]+" v != null; rule = "letters, digits and . @ : _ -"; };
  reports = {
    check = v: isAttrs v && !(v ? outPath) && all (name: match "[a-zA-Z0-9_][a-zA-Z0-9._-]*" name != null && types.file.check v.${name}) (attrNames v);
    rule = "a set of files by the name that each is shown under, such as { \"inspect.txt\" = ./inspect.txt; }";
  };
in
arguments.declare "hydraProducts"
{
  image = { type = image; };
  formats = { type = formats; default = [ "archive" ]; };
  reports = { type = reports; default = { }; };
  releaseName = { type = types.nullOr releaseName; default = null; };
  meta = { type = types.attrs; default = { }; };
}
  (args:
  let
    ours = args.image.dockertoolsImage;
    fileName = names.baseName args.image.imageName;
  in
  runBuilder {
    name = "docker-image-${fileName}-products";
    verb = "hydra_products";
    near = true;
    graphs.closure = [ ours.description ];
    spec = {
      images = [{ image = ours.description; inherit (ours) references; }];
      blobs = ours.blobsFor ours.compression;
      files = listToAttrs (map (format: { name = "docker-image-${fileName}${suffixes.${format}}"; value = format; }) args.formats);
      reports = mapAttrs (_: files.inStore "hydraProducts" "reports") args.reports;
      releaseName = if args.releaseName != null then args.releaseName else "${fileName}-${args.image.imageTag}";
    };
    forget = true;
    meta = args.image.meta // args.meta;
  } // {
    inherit (args) image;
    files = map (format: "docker-image-${fileName}${suffixes.${format}}") args.formats; # in the output
  })
