"""An image as Hydra shows it: files, reports, a release name and numbers, by the files in `nix-support`.

Hydra manual, "Build Products" and "Metrics". Its queue runner (build-result.cc) lists only what is in the output itself, and
knows size and digest only of what is no link; so files are written here, and reports are copied.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from dockertools_py.derivations.archive import named_images, write
from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.references_graph import ReferencesGraph
from dockertools_py.pack.image import Image

TYPES = {"archive": "docker-image", "layout": "oci-layout", "oci-archive": "oci-image"}
"""Subtypes of files by format: Hydra's own words are for packages and disks, so ours are those of the tools that take them."""


def build(attributes: Attributes) -> None:
    """Spec: `images` and `blobs` as of an archive, `files` (formats by file name), `reports` (files by name), `releaseName`.

    Graphs: `closure` of the description, for the sizes of the image's store paths.
    """
    spec, out = attributes.spec, attributes.out
    support = out / "nix-support"
    support.mkdir(parents=True)
    named = named_images(spec["images"])
    products = []
    for name, form in sorted(spec["files"].items()):
        write(named, attributes.paths("blobs"), form, out / name)
        products.append(f"file {TYPES[form]} {out / name}")
    products += _copy_reports(spec["reports"], out / "reports")
    (image,) = (item.image for item in named)
    metrics = measured(image, attributes.graphs["closure"])
    (support / "hydra-build-products").write_text("".join(f"{line}\n" for line in products))
    (support / "hydra-release-name").write_text(f"{spec['releaseName']}\n")
    (support / "hydra-metrics").write_text("".join(f"{name} {value}\n" for name, value in metrics.items()))


def measured(image: Image, closure: ReferencesGraph) -> dict[str, str]:
    """The numbers by name, with their units.

    `image-size` is that of the layers uncompressed, as `docker images` shows it; `closure-size` that of the store paths in
    the image.
    """
    paths = image.store_paths() & closure.paths.keys()
    return {
        "image-size": f"{sum(layer.size for layer in image.layers)} bytes",
        "closure-size": f"{sum(closure.paths[path].nar_size for path in paths)} bytes",
        "layers": str(len(image.layers)),
        "store-paths": str(len(image.store_paths())),
    }


def _copy_reports(reports: Mapping[str, str], to: Path) -> list[str]:
    """A line for each; of a directory its index.html is shown first."""
    lines = []
    for name, source in sorted(reports.items()):
        to.mkdir(exist_ok=True)
        if Path(source).is_dir():
            shutil.copytree(source, to / name, symlinks=True, copy_function=shutil.copyfile)
            lines.append(f"doc report {to / name} index.html")
        else:
            shutil.copyfile(source, to / name)
            lines.append(f"doc report {to / name}")
    return lines
