"""Ending pods of a node that runs short: of memory, of disk, of files; and those that use more disk than they may."""
