# /// script
# requires-python = ">=3.11"
# dependencies = ["roc-validator==0.13.0", "rocrate==0.13.0"]
# ///
"""Hold a crate against the SHACL shapes of RO-Crate and its profiles: `uv run --script tests/report/validate_crate.py
CRATE`. Exit status 1 for anything that a profile requires and the crate lacks; what it only recommends is printed.

The validator (whose rich is older than ours, hence an environment of its own) asks the network for one thing, the
JSON-LD context of RO-Crate 1.1. It is put into the validator's cache from where ro-crate-py kept it up to 0.13.
"""

import sys
import tempfile
from pathlib import Path

import rocrate
from requests_cache import CachedRequest, CachedResponse, CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILES = ("process-run-crate-0.5", "workflow-run-crate-0.5", "workflow-ro-crate-1.0")  # each inherits RO-Crate 1.1


def cache(folder: str) -> str:
    """A cache that knows the context."""
    path = str(Path(folder) / "cache")
    request = CachedRequest(method="GET", url=CONTEXT)
    content = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_bytes()
    headers = {"Content-Type": "application/ld+json"}
    session = CachedSession(path, backend="sqlite", expire_after=-1)
    session.cache.save_response(
        CachedResponse(status_code=200, url=CONTEXT, headers=headers, content=content, request=request)
    )
    session.close()
    return path


def main(crate: str) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        known = cache(folder)
        for profile in PROFILES:
            settings = ValidationSettings(
                rocrate_uri=crate,
                profile_identifier=profile,
                requirement_severity=Severity.RECOMMENDED,
                cache_path=known,
                offline=True,
            )
            issues = services.validate(settings).get_issues()
            lacking = [issue for issue in issues if issue.severity == Severity.REQUIRED]
            for issue in issues:
                print(f"{profile}: {issue.severity.name.lower()}: {issue.message} ({issue.violatingEntity})")
            print(
                f"{profile}: {len(lacking)} required things are lacking, {len(issues) - len(lacking)} recommended ones"
            )
            failed += len(lacking)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
