"""Values of the field: digests, descriptors, configs, entries. No file, clock or environment is read here."""
