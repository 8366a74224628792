"""gRPC's client side on the server's own event loop: as much of HTTP/2 as calls to etcd need.

Why it is ours: docs/decisions/0003-own-grpc-client.md. Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), gRPC over HTTP/2.
In the order to read: headers.py (pure), frames.py (pure), connection.py (one connection's calls), channel.py (an
address, and the connection to it that is there when it is needed).
"""
