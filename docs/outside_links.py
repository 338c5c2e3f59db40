#!/usr/bin/env python3
"""Links of a page to what is no page of the book, for mdbook: a preprocessor.

Pages lead to sources, `../crates/policy/src/index.rs`, for those who read them in the repository. In the book they lead to
where OUTPORT_REPOSITORY says the sources are, as in `https://code.example/outport/blob/main`; without it what was a link is
its text alone. Links in blocks of code stay as they are. The protocol is mdbook's: context and book as JSON come in by
standard input, the book goes out.
"""

import json
import os
import posixpath
import re
import sys

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(((?:\.\./)[^()\s]*)\)")


def main():
    # `supports RENDERER`: every one.
    if sys.argv[1:2] == ["supports"]:
        return
    _context, book = json.load(sys.stdin)
    for item in book.get("items") or book.get("sections"):
        rewrite(item)
    json.dump(book, sys.stdout)


def rewrite(item):
    chapter = item.get("Chapter") if isinstance(item, dict) else None
    if chapter is None:
        return
    if chapter["path"]:
        folder = posixpath.join("docs", posixpath.dirname(chapter["path"]))
        chapter["content"] = with_links(chapter["content"], folder)
    for below in chapter["sub_items"]:
        rewrite(below)


def with_links(text, folder):
    in_code = False
    lines = []
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            in_code = not in_code
        lines.append(line if in_code else LINK.sub(lambda link: inside_or_not(link, folder), line))
    return "\n".join(lines)


def inside_or_not(link, folder):
    text, target = link.groups()
    path, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith("docs/"):
        return link[0]
    repository = os.environ.get("OUTPORT_REPOSITORY", "").rstrip("/")
    if not repository:
        return text
    return f"[{text}]({repository}/{path}{'#' + anchor if anchor else ''})"


main()
