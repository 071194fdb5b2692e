"""The page as one HTML document: a template, a style and a script around its contents. It makes no request."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from maml_rl.page.contents import Contents
from maml_rl.runs.sessions import Session

FOLDER = Path(__file__).resolve().parent


def document(contents: Contents, made: Session) -> str:
    """The page. Whatever is not markup in the contents, names of runs for one, is escaped.

    made: the session that makes it.
    """
    script = (FOLDER / "report.js").read_text()
    return rendered(FOLDER / "report.html.jinja", script, contents=contents, made=made)


def rendered(template: Path, script: str, **values: Any) -> str:
    """A template in the page's style, with values escaped, and that script alone allowed to run."""
    environment = Environment(
        loader=FileSystemLoader([template.parent, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((FOLDER / "report.css").read_text())
    page = environment.get_template(template.name)
    return page.render(style=style, script=Markup(script), policy=policy(script), **values)


def policy(script: str) -> str:
    """The page's Content-Security-Policy: its own style, this script, data: images and videos, nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"{sources}; img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
