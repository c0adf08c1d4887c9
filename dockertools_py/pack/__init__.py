"""Algorithms over values: which path goes in which layer, tar headers, compression, composing."""
