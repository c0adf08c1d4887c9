"""Files that are named by the digest of their bytes: `blobs/sha512/<hex>`, `blobs/sha256/<hex>`, `<hex>.json`, `<hex>.tar`."""

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.model.digest import Digest


def digest_in(name: str) -> Digest | None:
    """The digest that a file is named by."""
    folder, _, last = name.rpartition("/")
    stem = last.removesuffix(".json").removesuffix(".tar")
    algorithm = folder.removeprefix("blobs/") if folder.startswith("blobs/") else "sha256"
    try:
        return Digest.parse(f"{algorithm}:{stem}")
    except DockertoolsError:
        return None


def algorithm_of(name: str) -> str:
    """What a file's digest is computed with: the algorithm that its name has."""
    named = digest_in(name)
    return named.algorithm if named else "sha256"


def check_name(what: str, name: str, digest: Digest) -> None:
    """A file named by its digest must have it. Raises DockertoolsError, in which the file is called `what`."""
    if digest_in(name) not in (None, digest):
        raise DockertoolsError(f"{what}: its bytes have the digest {digest}, not the one that it is named by")


def checked_json(reader: Reader, name: str) -> bytes:
    """A small file whose digest is the one that it is named by. Raises DockertoolsError."""
    data = reader.json(name)
    check_name(reader.what(name), name, Digest.of(data, algorithm_of(name)))
    return data
