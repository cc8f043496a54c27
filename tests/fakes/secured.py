"""A real node under the official security plugin: TLS, client certificates, roles of the test's own."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from mmsearch.stack import opensearch_files, opensearch_node, supervisor
from mmsearch.stack.account import unprivileged
from mmsearch.stack.downloads import fetch
from mmsearch.stack.java import choose
from mmsearch.stack.ports import free
from mmsearch.stack.variants.secured import KNN, OPENSEARCH, SECURITY, write_security_plugin

from .certificates import issue

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "admin"


@dataclass(frozen=True)
class Role:
    """What a user of the same name may do."""

    permissions: dict[str, Any]


class Secured:
    """The node while it runs; whoever asks it is a user by name."""

    def __init__(self, folder: Path, roles: dict[str, Role], encoder: str) -> None:
        self._authority = issue("tests", authority=True)
        self._identities = {
            name: issue(name, self._authority, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
            for name in (ADMIN, *roles)
        }
        self._folder = folder
        self._port, self._transport = free(2)
        self._contexts = {name: self._context(name) for name in self._identities}
        self._process = self._start(roles, encoder)

    def _context(self, user: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=self._authority.pem.decode())
        folder = self._folder / "users"
        folder.mkdir(exist_ok=True)
        made.load_cert_chain(*self._identities[user].write(folder, user))
        return made

    def _start(self, roles: dict[str, Role], encoder: str) -> subprocess.Popen[bytes]:
        account = unprivileged()
        files = opensearch_files.NodeFiles(opensearch_files.node_folder(self._folder, account))
        self.files = files
        opensearch_files.own_folder(files.folder)
        opensearch_files.unpack(OPENSEARCH, files.software)
        for folder in files.written_by_node:
            folder.mkdir(exist_ok=True)
        java = opensearch_files.readable_java(files, choose(account), account)
        opensearch_files.write_jvm_options(files, java)
        security = self._folder / SECURITY.file_name
        write_security_plugin(security)
        zips = [fetch(KNN), plugin_for(self._folder), security]
        opensearch_files.install(files, java, zips)
        opensearch_files.make_readable(files.software)
        self._write_security(files.config, roles)
        if account is not None:
            for folder in files.written_by_node:
                opensearch_files.give(folder, account)
        opensearch_files.write_settings(files, account, self._settings(files, encoder))
        self.log = self._folder / "node.log"
        launch = opensearch_node.launch("secured", files, java, "768m", account, self.log)
        return supervisor.start(launch)

    def _settings(self, files: opensearch_files.NodeFiles, encoder: str) -> str:
        node = issue("node", self._authority)
        tls = {
            f"plugins.security.ssl.{layer}.{key}": value
            for layer in ("transport", "http")
            for key, value in {
                "pemcert_filepath": "node.pem",
                "pemkey_filepath": "node.key",
                "pemtrustedcas_filepath": "authority.pem",
            }.items()
        }
        for name, data in {
            "node.pem": node.pem,
            "node.key": node.key_pem,
            "authority.pem": self._authority.pem,
        }.items():
            path = files.config / name
            path.write_bytes(data)
            path.chmod(0o644 if name != "node.key" else 0o600)
            shutil.chown(path, user=files.config.stat().st_uid, group=files.config.stat().st_gid)
        values: dict[str, Any] = {
            **tls,
            "cluster.name": "secured",
            "node.name": "secured",
            "path.data": str(files.data),
            "path.logs": str(files.folder / "logs"),
            "network.host": "127.0.0.1",
            "http.port": self._port,
            "transport.port": self._transport,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "mmsearch.triton.endpoints": [encoder],
            "plugins.security.ssl.transport.enforce_hostname_verification": False,
            "plugins.security.ssl.http.enabled": True,
            "plugins.security.ssl.http.clientauth_mode": "OPTIONAL",
            "plugins.security.authcz.admin_dn": [f"CN={ADMIN}"],
            "plugins.security.nodes_dn": ["CN=node"],
            "plugins.security.allow_default_init_securityindex": True,
        }
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())

    def _write_security(self, config: Path, roles: dict[str, Role]) -> None:
        def described(kind: str, body: dict[str, Any]) -> None:
            text = json.dumps({"_meta": {"type": kind, "config_version": 2}, **body})
            (config / "opensearch-security" / f"{kind}.yml").write_text(text)  # JSON is YAML

        domain = {
            "http_enabled": True,
            "order": 0,
            "http_authenticator": {
                "type": "clientcert",
                "challenge": False,
                "config": {"username_attribute": "cn"},
            },
            "authentication_backend": {"type": "noop"},
        }
        described("config", {"config": {"dynamic": {"authc": {"certificates": domain}, "authz": {}}}})
        described("internalusers", {})
        (config / "opensearch-security" / "internalusers.yml").rename(
            config / "opensearch-security" / "internal_users.yml"
        )
        described("roles", {name: role.permissions for name, role in roles.items()})
        described("rolesmapping", {name: {"users": [name]} for name in roles})
        (config / "opensearch-security" / "rolesmapping.yml").rename(
            config / "opensearch-security" / "roles_mapping.yml"
        )

    def wait(self, seconds: float = 240) -> None:
        """Until users are let in. Raises AssertionError with the end of the log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                for user in self._identities:
                    # Users are let in a while after the administrator.
                    self.ask(user, "GET", "/_plugins/_security/authinfo")
                return
            except (OSError, urllib.error.HTTPError):
                time.sleep(1)
        text = self.log.read_text(errors="replace").splitlines()[-40:]
        raise AssertionError("expected the secured node to answer, got:\n" + "\n".join(text))

    def ask(self, user: str, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; a string body is sent as lines. Raises urllib.error.HTTPError from 400 up."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        request = urllib.request.Request(
            f"https://127.0.0.1:{self._port}{path}",
            None if text is None else text.encode(),
            {"Content-Type": "application/x-ndjson" if isinstance(body, str) else "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=120, context=self._contexts[user]) as answer:
            return json.loads(answer.read())

    def end(self) -> None:
        """Stop the node and remove its files."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
        shutil.rmtree(self.files.folder)


def plugin_for(folder: Path) -> Path:
    """Our plugin's zip for this OpenSearch: the checkout's where it fits, else built for it."""
    made = opensearch_files.find_plugin_zip()
    if made and opensearch_files.descriptor(made).get("opensearch.version") == OPENSEARCH.version:
        return made
    tree = folder / "build"
    (tree / "scripts").mkdir(parents=True)
    shutil.copy2(ROOT / "scripts" / "maven.sh", tree / "scripts")
    shutil.copy2(ROOT / "pyproject.toml", tree)
    shutil.copytree(ROOT / "plugin", tree / "plugin", ignore=shutil.ignore_patterns("target"))
    wanted = [f"-Dopensearch.version={OPENSEARCH.version}", "-Dprotobufs.version=1.2.0"]
    subprocess.run(
        [str(tree / "scripts" / "maven.sh"), "-q", "-DskipTests", *wanted, "package"], check=True, timeout=600
    )
    return next((tree / "plugin" / "target").glob(f"mmsearch-{OPENSEARCH.version}.*.zip"))
