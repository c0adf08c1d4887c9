# Three ways to put bash and python in one image, in the form in which the idea was first shown.
pkgs: with pkgs; with dockerTools; rec {
  image1 = mkTarball { drv = bash; };
  layeredImage1 = build { name = "bash"; addTarball = image1; };
  image2 = mkTarball { drv = python3; };
  image3 = mkTarball { drv = perl; };
  bash-python = build { name = "bash-python"; fromImage = layeredImage1; addTarball = image2; };
  bash-python-perl = build { name = "bash-python-perl"; fromImage = bash-python; addTarball = image3; };
  just-python = build { name = "just-python"; config = { Cmd = [ "${python3}/bin/python3" ]; }; };
  merged = mergeImages { name = "bash-python"; image1 = layeredImage1; image2 = just-python; };

}
