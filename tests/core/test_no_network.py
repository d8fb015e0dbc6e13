import socket
import subprocess
import sys

import pytest

ADDRESS = ("192.0.2.1", 9)  # TEST-NET-1: never routed (RFC 5737)
CHILD = """
import socket
try:
    socket.create_connection(("127.0.0.1", int({port})), timeout=5).close()
    print("connected")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_connection_is_refused_with_its_address():
    with socket.socket() as client, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        client.connect(ADDRESS)


def test_binding_and_name_look_up_are_refused():
    with socket.socket() as server, pytest.raises(RuntimeError, match=r"socket\.bind"):
        server.bind(("127.0.0.1", 0))
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)


def test_a_child_process_is_guarded_too():
    out = subprocess.run(
        [sys.executable, "-c", CHILD.format(port=9)], capture_output=True, text=True, check=True
    )
    assert out.stdout.startswith("NetworkBlocked")


@pytest.mark.loopback
def test_loopback_is_open_where_marked_and_nothing_else_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = [sys.executable, "-c", CHILD.format(port=port)]
        out = subprocess.run(child, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "connected"
    with socket.socket() as client, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        client.connect(ADDRESS)
