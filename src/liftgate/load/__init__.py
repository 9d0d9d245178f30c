"""A load generator for gRPC servers that answer `Decide`: plain sockets, a schedule fixed in advance, every reply looked at.

It stands alone: nothing of the service is in it but the messages that go over the wire.
"""
