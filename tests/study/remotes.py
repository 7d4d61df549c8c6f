"""Remotes of each kind, on this machine."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ALL_ALLOWED = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


@dataclass
class Remote:
    """What ``dvc remote add`` and ``modify`` are told, and the environment that its credentials need."""

    url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def folder(place: Path) -> Iterator[Remote]:
    yield Remote(str(place / "remote"))


@contextmanager
def s3(place: Path) -> Iterator[Remote]:
    """A server that speaks S3 and checks credentials."""
    boto3, requests = pytest.importorskip("boto3"), pytest.importorskip("requests")
    moto = pytest.importorskip("moto.server")
    from moto.core.authorization import enable_iam_authentication

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    anyone = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1",
              "aws_access_key_id": "first", "aws_secret_access_key": "first"}  # fmt: skip
    iam = boto3.client("iam", **anyone)
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)
    iam.create_user(UserName="das")
    key = iam.create_access_key(UserName="das")["AccessKey"]
    iam.put_user_policy(UserName="das", PolicyName="all", PolicyDocument=ALL_ALLOWED)
    boto3.client("s3", **anyone).create_bucket(Bucket="das")
    try:
        with enable_iam_authentication():
            yield Remote(
                "s3://das/results",
                {"endpointurl": anyone["endpoint_url"]},
                {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                 "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"},
            )  # fmt: skip
    finally:
        server.stop()


@contextmanager
def ssh(place: Path) -> Iterator[Remote]:
    """OpenSSH's server, for this user, with keys of its own."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists() or not shutil.which("ssh-keygen"):
        pytest.skip("no sshd and ssh-keygen here (Debian: openssh-server)")
    pytest.importorskip("dvc_ssh")
    place.mkdir(exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
    port = free_port()
    settings = place / "sshd_config"
    settings.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/user.pub\n"
        f"PidFile {place}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([program, "-D", "-e", "-f", settings], stderr=subprocess.PIPE)
    try:
        if not answers(port):
            server.terminate()
            pytest.skip(f"sshd does not start here: {server.communicate()[1].decode()[-200:]}")
        where = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{place}/remote"
        yield Remote(where, {"keyfile": str(place / "user")})
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    for _ in range(50):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


KINDS = {"folder": folder, "s3": s3, "ssh": ssh}
