"""The demonstration: the whole story over real HTTP, with invented people."""
