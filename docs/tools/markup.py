"""Small pieces of HTML."""

import html
import re

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_FORMATTER = HtmlFormatter(cssclass="highlight language-python", wrapcode=True)


def code(text: str) -> str:
    """Python, coloured as in the fences of the pages."""
    return highlight(text, PythonLexer(stripnl=False), _FORMATTER).strip()


def markdown_code(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
