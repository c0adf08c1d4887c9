"""An executable and the description of the image that it is about, in one derivation.

Each costs Nix more than it costs us, and whoever edits and loads waits for every one of them.
"""

from dataclasses import replace
from importlib import import_module

from dockertools_py.derivations import script
from dockertools_py.derivations.attributes import Attributes


def build(attributes: Attributes) -> None:
    """Spec: `image`, that of the verb which it names, for the output `image`; `script`, whose last word is that output."""
    image, words = attributes.spec["image"], attributes.spec["script"]
    folder = attributes.outputs["image"]
    described = replace(attributes, spec=image, outputs={"out": folder})
    import_module(f"dockertools_py.derivations.{image['verb']}").build(described)
    script.build(replace(attributes, spec={**words, "command": [*words["command"], str(folder)]}))
