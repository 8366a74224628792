"""How a node of a local cluster is made: one driver for namespaces, one for virtual machines."""
