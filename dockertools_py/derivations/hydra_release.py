"""Hydra's aggregate: an output that is there only when all others are, and names them."""

from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `constituents`, the outputs of the jobs, and `releaseName`."""
    spec = attributes.spec
    support = attributes.out / "nix-support"
    support.mkdir(parents=True)
    # The jobs have the files; without this one Hydra would offer the aggregate itself for download.
    (support / "hydra-build-products").write_text("")
    (support / "hydra-release-name").write_text(f"{spec['releaseName']}\n")
    (support / "hydra-aggregate-constituents").write_text("".join(f"{path}\n" for path in spec["constituents"]))
