"""Why something isn't running, reachable, finished or gone: facts are gathered once, the diagnosis is pure.

facts.py holds a snapshot, gather.py takes it, the other files are tables of situations, table.py is the order of kinds.
To teach kctl one more cause, add a Situation to the table of its kind, and make it for real in tests/e2e/test_why.py.
"""
