"""Writing a bundle as an OCI layout directory (OCI image spec 1.1, image-layout.md)."""

from pathlib import Path

from dockertools_py.formats.archive import Produce
from dockertools_py.formats.output import new_file
from dockertools_py.pack.bundle import OCI_LAYOUT, Bundle
from dockertools_py.pack.layer import BlobSource, Layer


def write_layout(bundle: Bundle, directory: Path, produce: Produce) -> None:
    """Write the layout to `directory`, which is not there yet; `index.json` comes last, so that a part is no layout."""
    directory.mkdir()
    for blob in bundle.blobs:
        path = directory / blob.member_name()
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, in_place=True) as out:
            match blob.content:
                case bytes(data):
                    out.write(data)
                case BlobSource() as source:
                    out.copy(source)
                case Layer() as layer:
                    for chunk in produce(layer):
                        out.write(chunk)
    for name, data in (("oci-layout", OCI_LAYOUT), ("index.json", bundle.index)):
        with new_file(directory / name, in_place=True) as out:
            out.write(data)
