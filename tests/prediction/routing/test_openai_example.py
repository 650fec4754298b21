"""The documented example, against an OpenAI-compatible server on the loopback."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
from databases import REPOSITORY
from learned import drawn, kept
from sqlalchemy import Engine

from registry.learning.encoders import open_encoder


class _Chat(BaseHTTPRequestHandler):
    """Answers with the name of the model that was asked, and the prompt."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = f"{asked['model']}: {asked['messages'][0]['content']}"
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}]})
        self.send_response(200 if self.path == "/v1/chat/completions" else 404)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def test_the_documented_example_asks_the_chosen_model(engine: Engine) -> None:
    encoder = open_encoder("hashing")
    serving = np.zeros((2, encoder.dimension + 1), np.float32)
    serving[1, :-1] = encoder.encode(["hello"])[0]
    with engine.begin() as connection:
        kept(connection, drawn(2), serving=serving, encoder=encoder.name)
    page = (REPOSITORY / "docs" / "routing.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    # The version of this test has no blend.
    example = example.replace(
        "registry.Router(url)", "registry.Router(url, router='factorization')"
    )
    defined: dict[str, Any] = {}
    exec(example, defined)
    with HTTPServer(("127.0.0.1", 0), _Chat) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = engine.url.render_as_string(hide_password=False)
        try:
            said = defined["ask"]("hello", f"http://127.0.0.1:{server.server_port}", url)
        finally:
            server.shutdown()
            thread.join()
    assert said == "org/m1: hello"
