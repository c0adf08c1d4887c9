"""A web server that greets; put your program in its place."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Greeter(BaseHTTPRequestHandler):
    """Says the same to everybody."""

    def do_GET(self) -> None:
        """Answer with a line of text."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Hello from an image made by Nix\n")


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Greeter).serve_forever()
