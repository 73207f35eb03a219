"""Small pieces of HTML."""

import html
import re

from pygments import highlight
from pygments.filter import simplefilter
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.token import Name, Operator, Punctuation, Text


@simplefilter
def _common_as_text(self, lexer, stream, options):
    """Names, signs and punctuation, most of all tokens, as plain text.

    They have about its colour anyhow, and elements around each made a third of a page of mistakes.
    """
    for kind, value in stream:
        yield (Text if kind in (Name, Operator, Punctuation) else kind), value


_FORMATTER = HtmlFormatter(cssclass="highlight language-python", wrapcode=True)
_LEXER = PythonLexer(stripnl=False, filters=[_common_as_text()])


def code(text: str) -> str:
    """Python, coloured as in the fences of the pages."""
    return highlight(text, _LEXER, _FORMATTER).strip()


def markdown_code(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
