"""A server in the place of OpenSearch Dashboards: TLS, the sign-in against OpenSearch, the import request.

What it needs comes by the environment variables of the official image, and what is missing ends it.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NODE = json.loads(os.environ["OPENSEARCH_HOSTS"])[0]
if os.environ["OPENSEARCH_SSL_VERIFICATIONMODE"] != "full":
    raise SystemExit("expected OPENSEARCH_SSL_VERIFICATIONMODE=full")
TRUST = ssl.create_default_context(cafile=json.loads(os.environ["OPENSEARCH_SSL_CERTIFICATEAUTHORITIES"])[0])


def signed_in(authorization: str) -> bool:
    """Whether OpenSearch knows the user of this header."""
    request = urllib.request.Request(
        f"{NODE}/_plugins/_security/authinfo", headers={"Authorization": authorization}
    )
    try:
        with urllib.request.urlopen(request, timeout=10, context=TRUST) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def own() -> str:
    """The header of the user that Dashboards itself signs in as."""
    pair = f"{os.environ['OPENSEARCH_USERNAME']}:{os.environ['OPENSEARCH_PASSWORD']}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path != "/api/status":
            self.answer(404, {"message": "Not Found"})
        elif signed_in(own()):
            self.answer(200, {"status": {"overall": {"state": "green"}}})
        else:
            self.answer(503, {"message": "OpenSearch refuses the user of Dashboards"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self.headers.get("osd-xsrf"):
            self.answer(400, {"message": "Request must contain a osd-xsrf header."})
        elif not signed_in(self.headers.get("Authorization", "")):
            self.answer(401, {"message": "Unauthorized"})
        elif self.path.partition("?")[0] != "/api/saved_objects/_import":
            self.answer(404, {"message": "Not Found"})
        else:
            objects = [json.loads(line) for line in body.splitlines() if line.startswith(b'{"')]
            self.answer(200, {"success": True, "successCount": len(objects)})


server = ThreadingHTTPServer(("0.0.0.0", 5601), Handler)
if os.environ.get("SERVER_SSL_ENABLED") == "true":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["SERVER_SSL_CERTIFICATE"], os.environ["SERVER_SSL_KEY"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
