"""A model hub on 127.0.0.1 for tests: what it answers is decided by the repository's name.

It stores what is uploaded, weights through Git LFS as the real one does, and answers Range requests.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "a" * 40
READS = {  # repository: (status, X-Error-Code)
    "me/missing": (404, "RepoNotFound"),
    "me/private": (401, "RepoNotFound"),
    "me/gated": (403, "GatedRepo"),
    "me/forbidden": (403, None),
    "me/busy": (429, None),
    "me/down": (503, None),
}
WRITES = {  # token: (status, what the hub says)
    "hf_wrong": (401, "Invalid credentials in Authorization header"),
    "hf_read": (403, "You don't have the rights to create a model under the namespace"),
    "hf_full": (413, "Private repository storage limit reached"),
    "hf_down": (500, "Internal Error"),
}


class Handler(BaseHTTPRequestHandler):
    """Answers of one hub; `server.files` holds the files of each repository, `server.log` what was asked and sent.

    `server.cuts` counts the answers with weights that still break in the middle, `server.ranges` lists the Range requests.
    """

    def log_message(self, *_):
        pass

    def reply(self, status: int, value=None, body: bytes | None = None, **headers):
        body = json.dumps(value or {}).encode() if body is None else body
        self.send_response(status)
        headers = {"Content_Length": len(body), "Content_Type": "application/json"} | headers
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), str(text))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def do_GET(self):
        path = unquote(self.path.split("?")[0])
        self.server.log.append((self.command, path, b""))
        name = re.match(r"/(?:api/models/)?([^/]+/[^/]+)", path)
        if not name:
            return self.reply(404)
        repo = name[1]
        if repo in READS:
            status, code = READS[repo]
            return self.reply(status, {"error": "no"}, **({"X_Error_Code": code} if code else {}))
        if repo not in self.server.files:
            return self.reply(404, {"error": "no"}, X_Error_Code="RepoNotFound")
        files = self.server.files[repo]
        if path.startswith("/api/models/"):
            entries = [{"type": "file", "path": each, "oid": "b" * 40, "size": len(files[each])} for each in files]
            if "/tree/" in path:
                return self.reply(200, body=json.dumps(entries).encode())
            siblings = [{"rfilename": each, "size": len(files[each])} for each in files]
            return self.reply(200, {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "private": False})
        file = path.split("/resolve/")[-1].partition("/")[2]
        if file not in files:
            return self.reply(404, {"error": "no"}, X_Error_Code="EntryNotFound")
        body = files[file]
        size, about = len(body), {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X_Repo_Commit": COMMIT}
        status, first = 200, 0
        if asked := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            status, first = 206, int(asked[1])
            about["Content_Range"] = f"bytes {first}-{size - 1}/{size}"
            self.server.ranges.append((file, first))
        body = body[first:]
        weights = file == "model.safetensors" and self.command == "GET"
        if weights and (repo == "me/half" or self.server.cuts > 0):
            self.server.cuts -= repo != "me/half"
            self.close_connection = True
            return self.reply(status, body=body[: len(body) // 2], **about | {"Content_Length": len(body)})
        return self.reply(status, body=body, **about)

    do_HEAD = do_GET

    def do_POST(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                sent += self.rfile.read(size)
                self.rfile.readline()
        self.server.log.append((self.command, self.path, sent))
        if self.token == "hf_cut":  # the connection breaks
            self.close_connection = True
            return self.connection.close()
        if not self.token:
            return self.reply(401, {"error": "Invalid username or password."})
        if self.token in WRITES:
            status, said = WRITES[self.token]
            return self.reply(status, {"error": said}, X_Error_Message=said)
        if self.path == "/api/repos/create":
            if self.token == "hf_fine":  # may write to one repository and create none
                return self.reply(403, {"error": "may not create"}, X_Error_Message="may not create")
            asked = json.loads(sent)
            place = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.server.files.setdefault(place, {})
            return self.reply(200, {"url": f"http://{self.headers['Host']}/{place}", "id": place})
        if "/preupload/" in self.path:
            files = [
                {"path": each["path"], "uploadMode": _mode(each["path"]), "shouldIgnore": False}
                for each in json.loads(sent)["files"]
            ]
            return self.reply(200, {"files": files})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                entry | {"actions": {"upload": {"href": f"http://{self.headers['Host']}/lfs/{entry['oid']}"}}}
                for entry in json.loads(sent)["objects"]
            ]
            return self.reply(200, {"transfer": "basic", "objects": objects})
        if "/commit/" in self.path:
            place = re.match(r"/api/models/([^/]+/[^/]+)", self.path)[1]
            for entry in map(json.loads, sent.splitlines()):
                value = entry["value"]
                if entry["key"] == "file":
                    self.server.files[place][value["path"]] = base64.b64decode(value["content"])
                if entry["key"] == "lfsFile":
                    self.server.files[place][value["path"]] = self.server.lfs[value["oid"]]
            return self.reply(
                200,
                {
                    "commitUrl": f"http://{self.headers['Host']}/{place}/commit/{COMMIT}",
                    "commitOid": COMMIT,
                    "success": True,
                },
            )
        return self.reply(200, {"name": "me", "type": "user", "auth": {}, "orgs": []})

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(body).hexdigest() != oid:
            return self.reply(400, {"error": "checksum"})
        self.server.lfs[oid] = body
        return self.reply(200)


def _mode(path: str) -> str:
    return "lfs" if path.endswith((".safetensors", ".gguf", ".bin")) else "regular"


@contextlib.contextmanager
def running(files: dict[str, dict[str, bytes]]):
    """Yield (address, server) of a hub with these files. files: {OWNER/NAME: {file name: content}}."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.log, server.lfs, server.ranges, server.cuts = files, [], {}, [], 0
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
