"""Container engines: what they have of an image, and how the rest gets there."""
