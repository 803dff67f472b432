"""Operations of Python's huggingface_hub on a cache, as commands that print JSON: `python_side.py COMMAND ARGUMENT…`."""

import json
import os
import sys
import time
from pathlib import Path

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

try:
    from huggingface_hub.errors import EntryNotFoundError
except ImportError:
    from huggingface_hub.utils import EntryNotFoundError

CACHE = os.environ["HF_HUB_CACHE"]


def scan():
    """Warnings, and what is cached: repository, commit, references, files."""
    info = scan_cache_dir(CACHE)
    revisions = [
        [repo.repo_id, revision.commit_hash, sorted(revision.refs), sorted(file.file_name for file in revision.files)]
        for repo in info.repos
        for revision in repo.revisions
    ]
    return {"warnings": [str(warning) for warning in info.warnings], "revisions": sorted(revisions)}


def watch(stop_file):
    """Scans repeatedly until a file appears. Returns the different warnings, and the number of scans. A scan reads folder after
    folder while they change, and may warn about one that was just removed. So only warnings that the next scan repeats count."""
    warnings, scans, before = set(), 0, set()
    while not Path(stop_file).exists():
        if Path(CACHE).exists():
            try:
                found = set(scan()["warnings"])
            except FileNotFoundError:
                found = set()
            warnings.update(found & before)
            before = found
            scans += 1
        time.sleep(0.001)
    return {"warnings": sorted(warnings), "scans": scans}


def fetch(repo, *names):
    """Fetches files one by one, as transformers does it. huggingface_hub notes those that do not exist."""
    paths = {}
    for name in names:
        try:
            paths[name] = hf_hub_download(repo, name)
        except EntryNotFoundError as error:
            paths[name] = type(error).__name__
    return paths


def snapshot(repo, *patterns):
    return snapshot_download(repo, allow_patterns=list(patterns) or None)


def delete(repo):
    """As `hf cache rm` does."""
    info = scan_cache_dir(CACHE)
    commits = [revision.commit_hash for each in info.repos if each.repo_id == repo for revision in each.revisions]
    info.delete_revisions(*commits).execute()
    return commits


def share(repo, etag):
    """Moves a blob into the store that newer releases share between repositories, as a Xet download does."""
    from huggingface_hub.utils import _shared_blobs as shared

    blob = Path(CACHE) / f"models--{repo.replace('/', '--')}" / "blobs" / etag
    xet_hash = "ab" * 32
    prefix = shared._ensure_prefix_dir(CACHE, xet_hash)
    store = shared.shared_blob_path(CACHE, xet_hash)
    size = blob.stat().st_size
    blob.rename(store)
    shared._prepare_shared_blob_permissions(store, prefix, CACHE)
    linked = shared.try_link_from_shared_store(
        blob_path=str(blob), xet_hash=xet_hash, cache_dir=CACHE, expected_size=size
    )
    return {"linked": linked, "store": str(store)}


COMMANDS = {each.__name__: each for each in (scan, watch, fetch, snapshot, delete, share)}

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    print(json.dumps(COMMANDS[command](*arguments)))
