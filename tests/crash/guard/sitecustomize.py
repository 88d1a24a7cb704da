"""Refuses the network to every Python process that has this folder on its path."""

import socket

_connect = socket.socket.connect


def _local(address: object) -> bool:
    host = address[0] if isinstance(address, tuple) else ""
    return not isinstance(address, tuple) or host in ("127.0.0.1", "::1", "localhost")


def connect(self: socket.socket, address: object) -> None:
    if not _local(address):
        raise ConnectionRefusedError(f"the network is refused in this test: {address}")
    _connect(self, address)


def resolve(host: object, *args: object, **kwargs: object) -> object:
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        raise socket.gaierror(f"the network is refused in this test: {host}")
    return _resolve(host, *args, **kwargs)


_resolve = socket.getaddrinfo
socket.socket.connect = connect
socket.getaddrinfo = resolve
