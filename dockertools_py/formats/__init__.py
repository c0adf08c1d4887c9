"""Reading and writing image archives and OCI layouts."""
