"""Root without root: scripts which own, make and mark files as root may, run by a build user who may not."""
