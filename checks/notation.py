"""Maths for a terminal: `$\\sqrt{\\bar\\alpha_t}\\,x_0$` becomes √ᾱ_t x_0.

It knows the small part of TeX that the questions are written in, and says so when it is given more.
"""

import re
import unicodedata

# Commands without an argument.
_SIGNS = {
    **dict(alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", varepsilon="ε", theta="θ"),
    **dict(lambda_="λ", mu="μ", pi="π", sigma="σ", tau="τ", phi="φ", eta="η", Delta="Δ"),
    **dict(
        cdot="·", times="×", pm="±", le="≤", ge="≥", ne="≠", approx="≈", sim="~", ll="≪", gg="≫"
    ),
    **dict(infty="∞", nabla="∇", sum="Σ", prod="Π", to="→", ldots="…", cdots="⋯", in_="∈"),
    **dict(propto="∝", odot="⊙", mid="|", lVert="‖", rVert="‖", log="log", exp="exp", cos="cos"),
    **dict(sin="sin", min="min", max="max", quad="  ", left="", right="", circ="∘"),
}
_SIGNS |= {",": " ", ";": " ", "!": "", " ": " ", "|": "‖", "%": "%", "{": "{", "}": "}"}
_SIGNS |= {"lambda": _SIGNS.pop("lambda_"), "in": _SIGNS.pop("in_")}
# A mark on the letter before it, as a combining character.
_MARKS = {"bar": "\u0304", "hat": "\u0302", "tilde": "\u0303"}
_PLAIN = ("text", "mathrm", "mathbf", "mathcal", "mathbb", "operatorname")
_SUPERSCRIPT = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")


class Unreadable(ValueError):
    """The rest of a sentence that begins with what holds the text."""


def plain(text: str) -> str:
    """Markdown with `$…$` maths → the same with the maths in plain characters.

    Code, between backticks, stays as it is.

    Raises:
        Unreadable: on maths that is not closed, or a command of TeX that is not known here.
    """
    pieces = re.split(r"(```.*?```|`[^`]*`)", text, flags=re.DOTALL)
    return "".join(p if p.startswith("`") else _without_dollars(p) for p in pieces)


def _without_dollars(text: str) -> str:
    pieces = re.split(r"\$\$?", text)
    if len(pieces) % 2 == 0:
        raise Unreadable("has a $ too many, or one too few")
    return "".join(math(p) if k % 2 else p for k, p in enumerate(pieces))


def math(tex: str) -> str:
    """One formula, without its dollars."""
    tokens = re.findall(r"\\[A-Za-z]+|\\.|\s+|.", tex, flags=re.DOTALL)
    result = _sequence(tokens, tex)
    if tokens:
        raise Unreadable(f"has a }} too many in ${tex}$")
    return re.sub(r" {2,}", " ", result).strip()


def _sequence(tokens: list[str], tex: str) -> str:
    """Everything up to the brace that closes, which is left where it is, or to the end."""
    made: list[str] = []
    while tokens and tokens[0] != "}":
        made.append(_piece(tokens, tex))
    return "".join(made)


def _piece(tokens: list[str], tex: str) -> str:
    token = tokens.pop(0)
    if token == "{":
        inside = _sequence(tokens, tex)
        if not tokens:
            raise Unreadable(f"has a {{ too many in ${tex}$")
        tokens.pop(0)
        return inside
    if token in "^_":
        raised = _argument(tokens, tex)
        if token == "^" and raised.translate(_SUPERSCRIPT) != raised and len(raised) <= 2:
            return raised.translate(_SUPERSCRIPT)
        return token + _grouped(raised)
    if not token.startswith("\\"):
        return "−" if token == "-" else token
    name = token[1:]
    if name == "sqrt":
        return "√" + _grouped(_argument(tokens, tex))
    if name == "frac":
        above, below = _argument(tokens, tex), _argument(tokens, tex)
        return f"{_grouped(above)}/{_grouped(below)}"
    if name in _MARKS:
        letter = _argument(tokens, tex)
        # One character where there is one (ᾱ): not every terminal combines two.
        return unicodedata.normalize("NFC", letter[:1] + _MARKS[name]) + letter[1:]
    if name in _PLAIN:
        return _argument(tokens, tex)
    if name in _SIGNS:
        return _SIGNS[name]
    raise Unreadable(f"uses {token}, which a terminal has no sign for, in ${tex}$")


def _argument(tokens: list[str], tex: str) -> str:
    while tokens and tokens[0].isspace():
        tokens.pop(0)
    if not tokens or tokens[0] == "}":
        raise Unreadable(f"ends too early in ${tex}$")
    return _piece(tokens, tex)


def _grouped(text: str) -> str:
    """In parentheses, unless it is one thing: a letter with its index, a number, a function's call."""
    single = r"[^\W\d_][\u0302-\u0304]?(_(\w|\([^()]*\))+)?|[\d.]+|\([^()]*\)|√\S|‖[^‖]*‖²?"
    return text if re.fullmatch(single, text) else f"({text})"
