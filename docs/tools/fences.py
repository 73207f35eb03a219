"""What the pages' own fences become. Each is a formatter of `pymdownx.superfences`, named in mkdocs.yml.

```questions   a chapter's number; 0 is the self-test
```mistakes    a chapter's number
```exercises   a chapter's number
```source      FILE NAME [brief]: a function or class of the project; `brief` leaves the docstring out.
               FILE with WORDS: the first statement of the file that has these words in it
```interactive a figure with controls: noise-dial, scrubber, unet or gallery
```measured    a table of benchmark results, see `docs.tools.measured.table`
`#!number FILE PATH FORMAT`   one number out of them, within a sentence
"""

from functools import wraps

from pymdownx.inlinehilite import InlineHiliteException
from pymdownx.superfences import SuperFencesException

from checks.catalogue import find
from docs.tools import interactive as figures_with_controls
from docs.tools import measured, sources
from docs.tools import mistakes as known
from docs.tools import questions as quiz
from docs.tools.markup import code

# Every page that has these fences lies in docs/chapters/, so with its own folder in the site.
ROOT_OF_SITE = "../../"


def _loud(formatter):
    """Let the build fail with the reason: superfences swallows every exception but its own."""

    @wraps(formatter)
    def formatter_that_fails(source, *args, **kwargs):
        try:
            return formatter(source)
        except Exception as error:
            raise SuperFencesException(f"{formatter.__name__} {source!r}: {error}") from error

    return formatter_that_fails


@_loud
def questions(source: str) -> str:
    return quiz.render(int(source))


@_loud
def mistakes(source: str) -> str:
    return known.render(int(source), ROOT_OF_SITE)


@_loud
def exercises(source: str) -> str:
    return known.exercises(find(int(source)))


@_loud
def source(source: str) -> str:
    file, _, rest = source.strip().partition(" ")
    if rest.startswith("with "):
        text, first = sources.statement(file, rest.removeprefix("with "))
    else:
        name, _, brief = rest.partition(" ")
        text, first = sources.piece(file, name)
        text = sources.without_docstring(text) if brief == "brief" else text
    where = f"<figcaption>{file}, line {first}</figcaption>"
    return f'<figure class="source" data-search-exclude>{where}{code(text)}</figure>'


@_loud
def interactive(source: str) -> str:
    return figures_with_controls.render(source.strip())


@_loud
def measured_table(source: str) -> str:
    return measured.table(source)


def number(source: str, language: str, class_name: str, md) -> str:
    try:
        return measured.number(source)
    except ValueError as error:
        raise InlineHiliteException(f"number {source!r}: {error}") from error
