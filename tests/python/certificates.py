"""Certificates for tests of TLS, made by openssl as an operator would."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


def openssl(*arguments):
    """Runs openssl, and returns what it prints."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
    return done.stdout


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass
class Certificate:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


class Authority(Certificate):
    """Whoever trusts it trusts what it has signed."""

    def __init__(self, directory, name):
        super().__init__(directory / f"{name}.pem", directory / f"{name}.key")
        self.directory, self.name = directory, name
        openssl("req", "-x509", *NEW_KEY, "-days", 2, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def sign(self, name, extensions):
        """A certificate of its own, with these extensions."""
        signed = Certificate(self.directory / f"{self.name}-{name}.pem",
                             self.directory / f"{self.name}-{name}.key")
        request = self.directory / f"{self.name}-{name}.csr"
        extra = self.directory / f"{self.name}-{name}.ext"
        extra.write_text("\n".join(extensions), encoding="utf-8")
        openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", signed.key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-days", 2, "-extfile", extra, "-out", signed.certificate)
        return signed

    def server(self, name="server"):
        """For a server of this machine."""
        return self.sign(name, ["subjectAltName=DNS:localhost,IP:127.0.0.1"])

    def client(self, name="client"):
        """For a caller."""
        return self.sign(name, [f"subjectAltName=DNS:{name}", "extendedKeyUsage=clientAuth"])
