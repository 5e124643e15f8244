"""kill -9 at any instant of a refresh: the token that the client holds works when the gateway is back."""

import random
import threading
import time
import urllib.error
from http.client import HTTPException
from typing import Any

import pytest
from support.gateway import Gateway

PASSWORD = "correct horse battery"
CLIENTS = 4
KILLS = 4


class Client:
    """Refreshes as fast as it can, and holds the newest token that it was given."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        pair = gateway.login("ada", PASSWORD)
        self.held: str = pair["refresh_token"]
        self.answers = 0
        self.refused: list[int] = []
        self.unanswered = 0

    def refresh(self) -> dict[str, Any] | None:
        body = {"refresh_token": self.held}
        try:
            reply = self.gateway.request("POST", "/gateway/v1/auth/refresh", body=body)
        except (OSError, HTTPException, urllib.error.URLError, ValueError):
            self.unanswered += 1
            return None
        if reply.status != 200:
            self.refused.append(reply.status)
            return None
        pair: dict[str, Any] = reply.json
        self.held = pair["refresh_token"]
        self.answers += 1
        return pair

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self.unanswered and not self.refused:
            self.refresh()


@pytest.mark.slow
def test_a_kill_in_the_middle_of_refreshes_locks_nobody_out(own_gateway: Gateway) -> None:
    gateway = own_gateway
    gateway.create_user("ada", PASSWORD, "reader")
    clients = [Client(gateway) for _ in range(CLIENTS)]
    dice = random.Random(6)
    for _ in range(KILLS):
        stop = threading.Event()
        for client in clients:
            client.unanswered = 0
        threads = [threading.Thread(target=client.run, args=(stop,)) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(0.2 + dice.random() * 0.3)
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join(20)
        gateway.start()
        for client in clients:
            assert client.refused == []
            pair = client.refresh()
            assert pair is not None, client.refused
            assert gateway.request("GET", "/orders", token=pair["access_token"]).status == 200
    assert sum(client.answers for client in clients) > CLIENTS * KILLS
    assert not [one for one in gateway.audit("--kind", "event") if one["action"] == "auth.reuse_detected"]
