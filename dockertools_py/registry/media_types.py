"""The two sets of media types for the same things: OCI's, and Docker's of before (image manifest version 2, schema 2)."""

from dataclasses import replace

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.media_type import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

FORMATS = ("oci", "docker")

_DOCKER_OF = {
    OCI_CONFIG: DOCKER_CONFIG,
    OCI_INDEX: DOCKER_INDEX,
    OCI_LAYER: DOCKER_LAYER,
    OCI_LAYER_GZIP: DOCKER_LAYER_GZIP,
    OCI_MANIFEST: DOCKER_MANIFEST,
}
_OCI_OF = {docker: oci for oci, docker in _DOCKER_OF.items()}


def in_format(media_type: str, wanted: str) -> str:
    """A media type in `oci` or `docker`. Raises DockertoolsError where Docker has none, as for zstd."""
    if wanted == "oci":
        return _OCI_OF.get(media_type, media_type)
    if media_type in _OCI_OF:
        return media_type
    if media_type not in _DOCKER_OF:
        raise DockertoolsError(f"--format docker: it has no type for {media_type}: use --format oci, or gz for layers")
    return _DOCKER_OF[media_type]


def as_format(descriptor: Descriptor, wanted: str) -> Descriptor:
    """A descriptor with its media type in `oci` or `docker`."""
    return replace(descriptor, media_type=in_format(descriptor.media_type, wanted))
