"""What MkDocs does beside its settings (mkdocs.yml): pages from outside docs/, links, the list of pages, languages.

Pages are written for GitHub. So a link is a path to a file of the repository. Here it becomes the page's address where the
file is a page of the site, and the file's address in the repository where it is not. One that leads nowhere is left as
it is, and MkDocs then fails.
"""

import os
import posixpath
import re
import subprocess
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
#: Pages from outside docs/, and what they are called in the site.
OUTSIDE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "deploy/README.md": "deploy/README.md",
    "deploy/pipeline/README.md": "deploy/pipeline/README.md",
    "trainer/README.md": "trainer/README.md",
}
FROM_OUTSIDE = {page: source for source, page in OUTSIDE.items()}
#: The heads of the list of pages, in this order; all pages that none of them names are under the last one.
HEADS = {
    "Use": ["PROTOCOL.md", "MODELS.md", "from-triton.md", "support.md", "glossary.md"],
    "Operate": ["deploy/README.md", "kubeflow.md", "operations.md", "monitoring/README.md", "CONFIGURATION.md"],
    "Train": ["trainer/README.md", "deploy/pipeline/README.md"],
    "Performance": ["PERFORMANCE.md", "SCALING.md"],
    "API": ["api.md"],
}
TUTORIALS = {"Tutorial": "tutorial/", "教學": "zh-TW/"}
REST = "Engineering"
#: The page with the API, which /openapi.json describes.
API = """\
# API

The HTTP API as a server describes it itself at `/openapi.json`. A server shows the same at `/docs`, where requests can be
sent too. [PROTOCOL](PROTOCOL.md) says more, and has gRPC.

<swagger-ui src="openapi.json"/>
"""

LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^()\s]+)(\))")
FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})")
ITEM = re.compile(r"^(\s*)([-*+]|\d+[.)])(\s+)")


def repository():
    """The address of the repository: what REPO_URL says, or where this clone comes from."""
    if address := os.environ.get("REPO_URL"):
        return address.rstrip("/")
    command = ["git", "-C", str(ROOT), "config", "--get", "remote.origin.url"]
    origin = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return origin.removesuffix(".git") if origin.startswith("https://") else "https://example.org/decima/source"


def slug(text, separator):
    """The name of a heading in a link, as GitHub has it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)


def on_config(config):
    config.mdx_configs["toc"]["slugify"] = slug
    config.extra["social"] = [{"icon": "fontawesome/brands/git-alt", "link": repository(), "name": "Source"}]
    if not (ROOT / "docs/zh-TW").is_dir():
        config.extra["alternate"] = []
    return config


def on_files(files, config):
    for source, page in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "api.md", content=API))
    config.nav = listed([file.src_uri for file in files.documentation_pages()])
    return files


def listed(pages):
    """The list of pages under their heads."""
    left = [page for page in sorted(pages) if page != "index.md"]

    def take(wanted):
        found = [page for page in wanted if page in left]
        left[:] = [page for page in left if page not in found]
        return found

    heads = {head: take(wanted) for head, wanted in HEADS.items()}
    tutorials = {}
    for head, folder in TUTORIALS.items():
        pages_of_folder = [page for page in left if page.startswith(folder)]
        # the page of the folder comes first
        tutorials[head] = take(sorted(pages_of_folder, key=lambda page: (not page.endswith("README.md"), page)))
    nav = [{"Decima": "index.md"}]
    nav += [{"Tutorial": tutorials["Tutorial"]}] if tutorials["Tutorial"] else []
    nav += [{head: found} for head, found in heads.items()]
    first = ["ARCHITECTURE.md", "engineering/README.md"]
    nav.append({REST: take(first) + take(list(left))})
    nav += [{"教學": tutorials["教學"]}] if tutorials["教學"] else []
    return nav


def on_page_markdown(markdown, page, config, files):
    source = FROM_OUTSIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return "\n".join(for_python_markdown(with_links(markdown, source, page.file.src_uri, files)))


def with_links(markdown, source, page, files):
    """The lines of a page, with its links as the site needs them. The text of a link may go on in the next line."""

    def replace(match):
        head, target, tail = match.groups()
        if target.startswith(("#", "mailto:")) or re.match(r"[a-z+]+://", target):
            return match.group()
        path, mark, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = address(place, page, files)
        return f"{head}{found}{mark}{anchor}{tail}" if found else match.group()

    fence, text = None, []
    for line in [*markdown.splitlines(), None]:
        opened = FENCE.match(line) if line is not None else None
        if fence is None and (opened or line is None):
            yield from LINK.sub(replace, "\n".join(text)).split("\n") if text else []
            text = []
        if line is None:
            return
        if fence is not None or opened:
            yield line
        else:
            text.append(line)
        if opened:
            fence = opened[2] if fence is None else None if opened[2].startswith(fence) else fence


def address(path, page, files):
    """Where a file of the repository is to be found; `None` if there is no such file."""
    for candidate in (path, posixpath.join(path, "README.md")):
        here = OUTSIDE.get(candidate, candidate.removeprefix("docs/") if candidate.startswith("docs/") else None)
        if here and files.get_file_from_path(here):
            return posixpath.relpath(here, posixpath.dirname(page) or ".")
    if not (ROOT / path).exists():
        return None
    return f"{repository()}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"


def for_python_markdown(lines):
    """Lists as Python's Markdown wants them: what belongs to an item is four spaces in, and a list has a line above."""
    fence, shift, above = None, 0, ""
    inside = []  # for each item that the line is in: the column where its text begins
    for line in lines:
        if fence is not None:
            closed = FENCE.match(line)
            if closed and closed[2].startswith(fence):
                fence = None
        elif line.strip():
            column = len(line) - len(line.lstrip(" "))
            item = ITEM.match(line)
            # a paragraph goes on in the next line wherever that begins
            if item or not above.strip() or not inside:
                inside = [begin for begin in inside if begin <= column]
            if item and not inside and above.strip() and not ITEM.match(above) and not above.startswith(" "):
                yield ""
            shift = 4 * len(inside) - column if inside else 0
            if item:
                inside.append(item.end())
            if opened := FENCE.match(line):
                fence = opened[2]
        above = line
        yield (" " * shift + line if shift >= 0 else line[-shift:]) if line.strip() else line


def on_page_context(context, page, config, nav):
    # The theme asks for its words page by page.
    config.theme["language"] = "zh-TW" if page.file.src_uri.startswith("zh-TW/") else "en"
    return context
