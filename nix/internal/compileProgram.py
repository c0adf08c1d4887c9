"""Copies the program from $src to $out/dockertools_py and byte-compiles it, so that no build compiles it again.

`unchecked-hash`: Python then never compares it with the source, whose times mean nothing in the store.
"""

import compileall
import os
import shutil
import sys
from py_compile import PycInvalidationMode

target = os.path.join(os.environ["out"], "dockertools_py")
os.umask(0o022)
shutil.copytree(os.environ["src"], target, copy_function=shutil.copyfile)
for folder, _, _ in os.walk(target):
    os.chmod(folder, 0o755)  # the source, in the store, is read-only
if not compileall.compile_dir(target, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH):
    sys.exit("the program does not compile")
