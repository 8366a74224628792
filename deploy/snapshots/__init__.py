"""Snapshots of a whole cluster: what is copied (contents.py), where they lie (store.py), saving and restoring."""
