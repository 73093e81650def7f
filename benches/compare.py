"""Runs the wire bench of two revisions in turns and prints what each call does in both.

    python3 benches/compare.py BASE [--turns N] [what the bench takes, such as --store redis]

BASE is anything that git knows as a revision; the other side is the work tree as it is. Both are
built first. A rate is the median of the turns, with the lowest and the highest; `of no-op` is the
rate beside that of the service that does nothing, which drifts with the machine as the rate does.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# The names of calls in the first column of what the bench prints, by its width.
CALLS = ("GetProfile", "ScoreEvent", "RankSegment", "ScoreEvents")
NAME_WIDTH = 23


def run(command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def checked_out(revision):
    """The directory of a work tree at this revision."""
    named = ["git", "-C", ROOT, "rev-parse", "--verify", f"{revision}^{{commit}}"]
    commit = run(named, capture_output=True).stdout.strip()
    directory = TARGET / "compare" / commit
    if not directory.exists():
        run(["git", "-C", ROOT, "worktree", "add", "--detach", directory, commit])
    return directory


def built(directory, target):
    """The wire bench of a work tree."""
    command = ["cargo", "bench", "--locked", "--bench", "wire", "--no-run", "--message-format=json"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    messages = run(command, cwd=directory, env=environment, stdout=subprocess.PIPE).stdout
    for message in map(json.loads, messages.splitlines()):
        if message.get("executable") and message["target"]["name"] == "wire":
            return message["executable"]
    sys.exit("cargo has not said where the bench is")


def measured(bench, arguments):
    """Rates of the service that does nothing and of the real one by store and call, in one turn."""
    printed = run([bench, *arguments], stdout=subprocess.PIPE).stdout
    rates, store = {}, ""
    for line in printed.splitlines():
        name, numbers = line[:NAME_WIDTH].strip(), line[NAME_WIDTH:].split()
        if "no-op/s" in numbers:
            store = name
        elif name.startswith(CALLS):
            rates[f"{store}: {name}"] = float(numbers[0]), float(numbers[1])
    if not rates:
        sys.exit(f"the bench has printed no rates:\n{printed}")
    return rates


def spread(values, digits):
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def main(base, *arguments):
    arguments, turns = list(arguments), 5
    if "--turns" in arguments:
        at = arguments.index("--turns")
        turns = int(arguments[at + 1])
        del arguments[at : at + 2]
    benches = {
        base: built(checked_out(base), TARGET / "compare" / "target"),
        "now": built(ROOT, TARGET),
    }
    rates = {side: [] for side in benches}
    for turn in range(turns):
        for side, bench in benches.items():
            print(f"turn {turn + 1} of {turns}: {side}", file=sys.stderr)
            rates[side].append(measured(bench, arguments))

    width = max(len(base), 4)
    print(f"{'':<36} {'':<{width}} {'real/s':<26} of no-op")
    for call in rates["now"][0]:
        for side in benches:
            turns_of_side = [turn[call] for turn in rates[side] if call in turn]
            if turns_of_side:
                real = spread([real for _, real in turns_of_side], 0)
                ratio = spread([real / noop for noop, real in turns_of_side], 3)
                print(f"{call:<36} {side:<{width}} {real:<26} {ratio}")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
