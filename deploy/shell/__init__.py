"""Commands on a node, whatever the node is: frames over one byte stream, sessions on the node, kctl at the other end.

    kctl (client.py) --- unix socket --- relay.py (one for each VM) --- virtio-serial --- guest.py with its sessions
    kctl (client.py) --- socket pair --- guest.py in the namespaces of a node (enter.py)

Many sessions share the stream. Each direction of a session has a window, so a slow reader stops only its own session.
"""
