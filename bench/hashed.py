"""The floor of reading a base: hash each member of a docker archive, and what is in it where that is gzip."""

import hashlib
import sys
import tarfile
import zlib

with tarfile.open(sys.argv[1], "r:") as tar, open(sys.argv[1], "rb", buffering=0) as file:
    for member in tar:
        stored, plain, left = hashlib.sha256(), hashlib.sha256(), member.size
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16) if member.name.endswith(".gz") else None
        file.seek(member.offset_data)
        while left:
            data = file.read(min(left, 1 << 20))
            left -= len(data)
            stored.update(data)
            if inflater:
                plain.update(inflater.decompress(data))
