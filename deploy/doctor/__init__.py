"""`kctl cluster doctor`: what is wrong with this machine or a cluster, and what is left of clusters that are gone.

The machine is looked at by machine.py and limits.py, a cluster by cluster.py, etcd.py and nodes.py, what remains by
sighting.py and leftovers.py. Reading is apart from judging, which is pure. Nothing here changes anything.
"""
