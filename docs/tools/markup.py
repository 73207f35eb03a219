"""Small pieces of HTML."""

import difflib
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


def difference(before: str, after: str) -> str:
    """What has to be taken out of a text and put into it, each place below the line before it."""
    old, new = before.splitlines(), after.splitlines()
    places = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(1):
        lines = []
        if len(group) > 1 and group[-1][0] == "equal":
            group.pop()
        for tag, i, j, k, m in group:
            if tag == "equal":
                lines += [(" ", line) for line in old[i:j]]
            else:
                lines += [("−", line) for line in old[i:j]] + [("+", line) for line in new[k:m]]
        indent = min(len(line) - len(line.lstrip()) for _, line in lines if line.strip())
        places.append("".join(_change(sign, line[indent:]) for sign, line in lines))
    return (
        '<div class="highlight" data-search-exclude><pre><code>'
        + "\n".join(places)
        + "</code></pre></div>"
    )


def _change(sign: str, words: str) -> str:
    line = f"{sign} {html.escape(words, quote=False)}"
    css = {"−": "gd", "+": "gi"}.get(sign)  # as Pygments calls them
    return (f'<span class="{css}">{line}</span>' if css else line) + "\n"


def markdown_code(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
