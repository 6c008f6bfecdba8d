"""nginx as a peer: serves the files of a directory, if it is installed."""

import getpass
import shutil
import socket
import subprocess
import time

CONFIG = """user {user}; worker_processes 2; daemon off; pid {at}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on;
    client_body_temp_path {at}/temp; proxy_temp_path {at}/temp; fastcgi_temp_path {at}/temp;
    uwsgi_temp_path {at}/temp; scgi_temp_path {at}/temp;
    server {{ listen 127.0.0.1:{port}; root {at}/files; }}
}}"""


def start(directory):
    """nginx for `directory/files`: its process and its port; two Nones if it is not on the path."""
    if not shutil.which("nginx"):
        print("nginx is not on the path: there is no peer")
        return None, None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(user=getpass.getuser(), at=directory, port=port))
    process = subprocess.Popen(
        ["nginx", "-p", directory, "-e", "stderr", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(100):
        if process.poll() is not None:
            raise SystemExit(f"nginx does not start: {process.stderr.read()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.1)
    raise SystemExit("nginx does not listen")
