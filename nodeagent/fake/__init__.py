"""Fake nodes: one process that is the agent of many nodes that have no machine, no runtime and no containers.

To the API they are nodes like others: registered, Ready, with a lease that is renewed; pods bound to them start, become
ready, end and go. They are for trying schedulers, controllers and clients at a size that no machine here has.
Elsewhere: what a pod's life is (life.py), the nodes' own objects (node.py), the loops (agent.py), what is answered to
whoever asks for logs (server.py).
"""
