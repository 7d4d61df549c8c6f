"""Runs `das` commands in forks of a process that has imported everything: a kill may fall anywhere in the work itself.

Each line of standard input is JSON: `argv` of `das`, or `audit` for what Snakemake does at start; `cwd`; `log`, where
its output goes; `full` (or null), after how many files the disk is full. The answers are its process id and, when it
has ended, its exit status, below zero for a signal.
"""

import errno
import json
import os
import sys
import traceback


def main() -> None:
    import das.analysis.tables
    import das.engine.tune
    import das.search.make  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            run(asked)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run(asked: dict) -> None:
    """In the fork: do what is asked and end."""
    from das import cli
    from das.study import load_study, results

    os.chdir(asked["cwd"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if asked["full"] is not None:
        fill_up(asked["full"])
    sys.argv = ["das", *asked["argv"]]
    code: object = 0
    try:
        if asked["argv"] == ["audit"]:
            results.audit(load_study(os.environ["DAS_STUDY"].split(os.pathsep)))
        else:
            cli.main()
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def fill_up(files: int) -> None:
    """Let every file after the first ``files`` find the disk full."""
    left, sync = [files], os.fsync

    def fsync(handle: int) -> None:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        sync(handle)

    os.fsync = fsync


if __name__ == "__main__":
    main()
