# What an image stands on that has no base, as baseImage.nix says it of others.
{
  config = { };
  platform = null;
  roots = [ ];
  copied = [ ];
  descriptions = [ ];
  stack = [ ];
  rootDescriptions = [ ];
  bound = 0;
  blobsFor = _: [ ];
}
