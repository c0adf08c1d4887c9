"""Media types of images and their layers, and the compression that each names."""

from dockertools_py.errors import DockertoolsError, shown

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})

LAYER_OF_COMPRESSOR = {"none": OCI_LAYER, "gz": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}
"""Our `compressor` names, which are nixpkgs', to the media type of the blob that they make."""

_COMPRESSOR_OF_LAYER = {
    OCI_LAYER: "none",
    DOCKER_LAYER: "none",
    OCI_LAYER_GZIP: "gz",
    DOCKER_LAYER_GZIP: "gz",
    OCI_LAYER_ZSTD: "zstd",
}


def compressor_of(media_type: str) -> str:
    """`none`, `gz` or `zstd`, as a layer's media type says. Raises DockertoolsError for any other type."""
    try:
        return _COMPRESSOR_OF_LAYER[media_type]
    except KeyError:
        raise DockertoolsError(f"layer of media type {shown(media_type)}: not a tar layer that can be read") from None
