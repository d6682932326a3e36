"""Keep a number and its unit on one line."""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

APART = re.compile(
    r"(?<=\d) (?=%|(?:ms|s|MB|GB)\b)"
    r"|(?<=\bp) (?=[=<] \d)|(?<=\bp [=<]) (?=\d)"
    r"|(?<=\d) (?=of \d)"
)
"""The blanks in "45 %" and "7 s", in "p = 0.03", and the first of "33 of 35"."""


class KeepTogether(SphinxTransform):
    """Blanks inside quantities do not break, but in code and formulas."""

    default_priority = 880

    def apply(self):
        """Called by Sphinx for each page."""
        for text in list(self.document.findall(nodes.Text)):
            if APART.search(text) and not isinstance(
                text.parent, nodes.literal | nodes.literal_block | nodes.math | nodes.math_block
            ):
                kept = nodes.Text(APART.sub("\N{NO-BREAK SPACE}", text))
                text.parent.replace(text, kept)


def setup(app):
    """Called by Sphinx."""
    app.add_transform(KeepTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
