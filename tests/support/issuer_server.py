"""An issuer on a port of its own, whose pages can be changed and which can be away."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.issuer import Issuer, IssuerKey


class IssuerServer:
    """Publishes what its issuer does at this moment."""

    def __init__(self, *keys: IssuerKey) -> None:
        self.asked: list[str] = []
        self.away = False
        """Whether every request is answered 503."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.issuer.published(self.path)
                self.send_response(503 if outer.away else 404 if body is None else 200)
                self.end_headers()
                if body is not None and not outer.away:
                    self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = Issuer(*keys, url=f"http://127.0.0.1:{self._server.server_address[1]}")

    @contextlib.contextmanager
    def running(self) -> Iterator["IssuerServer"]:
        """Serve for the length of the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
