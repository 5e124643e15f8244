"""Bodies larger than any memory: streamed both ways."""

import hashlib
import socket

import pytest
from support.gateway import Gateway

_BLOCK = bytes(range(256)) * 256


def download(gateway: Gateway, size: int) -> int:
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(
            b"GET /download?bytes=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % size
        )
        received, head = 0, b""
        peak = gateway.rss()
        while data := client.recv(1 << 20):
            if b"\r\n\r\n" not in head:
                head += data
                data = head.partition(b"\r\n\r\n")[2]
            before, received = received, received + len(data)
            if received >> 25 != before >> 25:
                peak = max(peak, gateway.rss())
    assert received == size
    return peak


def upload(gateway: Gateway, size: int) -> int:
    digest = hashlib.sha256()
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % size
        )
        peak = gateway.rss()
        for number in range(size // len(_BLOCK)):
            client.sendall(_BLOCK)
            digest.update(_BLOCK)
            if number % 512 == 0:
                peak = max(peak, gateway.rss())
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert b" 200 " in answer[:20]
    assert digest.hexdigest().encode() in answer
    return peak


def grown(gateway: Gateway, size: int) -> tuple[int, int]:
    download(gateway, 8 << 20)
    upload(gateway, 8 << 20)
    before = gateway.rss()
    return download(gateway, size) - before, upload(gateway, size) - before


def test_64_mib_pass_both_ways_in_flat_memory(own_gateway: Gateway) -> None:
    down, up = grown(own_gateway, 64 << 20)
    assert max(down, up) < 30 << 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_1_gib_passes_both_ways_in_flat_memory(own_gateway: Gateway) -> None:
    down, up = grown(own_gateway, 1 << 30)
    assert max(down, up) < 30 << 20, f"grew by {down / 2**20:.1f} MiB down, {up / 2**20:.1f} MiB up"
