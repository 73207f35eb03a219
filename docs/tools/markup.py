"""Small pieces of HTML."""

import html
import re

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_FORMATTER = HtmlFormatter(cssclass="highlight language-python", wrapcode=True)


def code(text: str) -> str:
    """Python, coloured as in the fences of the pages.

    Names, signs and operators keep the colour of the text: their marks would be a tenth of a page's weight.
    """
    coloured = highlight(text, PythonLexer(stripnl=False), _FORMATTER).strip()
    return re.sub(r'<span class="[npo]">([^<]*)</span>', r"\1", coloured)


def markdown_code(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
