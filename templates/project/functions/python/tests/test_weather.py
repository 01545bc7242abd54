"""The weather service is played by a small server on this machine: the test needs no network and no key."""
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import sabir

from functions.python import weather


class StandIn(BaseHTTPRequestHandler):
    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        if query.get("key") != ["a key for tests"]:
            status, answer = 401, {}
        elif query.get("q") != ["Paris"]:
            status, answer = 400, {}
        else:
            status = 200
            answer = {"location": {"name": "Paris"}, "current": {"temp_c": 18.5, "condition": {"text": "Sunny"}}}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def service(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WEATHER_API_URL", "http://127.0.0.1:%d" % server.server_port)
    monkeypatch.setattr(sabir, "secret", {"weather_api_key": "a key for tests"}.__getitem__)
    yield
    server.shutdown()
    server.server_close()


def test_tells_the_weather(service):
    assert weather.current("Paris") == {"city": "Paris", "celsius": 18.5, "sky": "Sunny"}


def test_an_unknown_city_is_an_error_that_names_it(service):
    with pytest.raises(ValueError, match="Nowhere"):
        weather.current("Nowhere")


def test_an_error_does_not_show_the_key(service, monkeypatch):
    monkeypatch.setattr(sabir, "secret", lambda name: "another key")
    with pytest.raises(RuntimeError) as caught:
        weather.current("Paris")
    assert "another key" not in str(caught.value) and "401" in str(caught.value)
