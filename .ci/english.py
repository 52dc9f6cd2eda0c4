"""Fails if the prose of the project uses a habit more often than its limit, in 10,000 words.

python .ci/english.py [-v]     # -v lists each occurrence

Reads every tracked Markdown file without its code, and the comments and strings with a space of
every tracked Python file. The limits are a little above the most that comparable projects have.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

LIMITS = {
    r"where": 10,
    r"what(ever)?": 15,
    r"says?|said|tells?|told": 9,
    r"nobody|somebody|everybody|whoever|ones? that": 3,
    r"so (many|long|few|much|soon)": 1,
    r"gives?": 8,
    r"as (it|they) (is|are|was|were|does|do|has)": 2,
    r"(is|are|was|were) (no|none)": 8,
    r"meanwhile|by then|of late|thereby|therein": 2,
}
TOKENS = {
    tokenize.COMMENT,
    tokenize.STRING,
    getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),
}


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the prose of a file with the number of its line."""
    text = path.read_text()
    if path.suffix == ".md":
        code = re.compile(r"^\s*```.*?^\s*```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
        text = code.sub(lambda match: "\n" * match[0].count("\n"), text)
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in TOKENS and " " in token.string and "noqa:" not in token.string:
            yield token.start[0], token.string


def main(*options: str) -> bool:
    """Print the rate of each habit; return whether one is over its limit."""
    listing = ["git", "ls-files", "*.md", "*.py"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    passages = [(name, line, text) for name in names for line, text in prose(Path(name))]
    words = sum(len(re.findall(r"[A-Za-z][a-z']+", text)) for _, _, text in passages)
    failed = False
    for habit, limit in LIMITS.items():
        pattern = re.compile(rf"\b(?:{habit})\b", re.IGNORECASE)
        found = [
            (name, line, match[0])
            for name, line, text in passages
            for match in pattern.finditer(text)
        ]
        rate = len(found) * 10_000 / max(words, 1)
        over = rate > limit
        failed |= over
        print(f"{rate:6.1f} of {limit:2}  {'OVER' if over else '':4}  {habit}")
        if "-v" in options:
            for name, line, words_found in found:
                print(f"{name}:{line}: {words_found}")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
