"""What Sphinx needs to make the reference from docstrings."""

import re

SHIELDED = "avvp_shielded"
VALUES = ("attribute", "data", "property")


def shield(app, what, name, obj, options, lines):
    """Hide the docstring of a value from napoleon, which takes ``words: words`` for a type."""
    if what in VALUES:
        app.env.temp_data[SHIELDED] = list(lines)
        lines.clear()


def unshield(app, what, name, obj, options, lines):
    """Give the docstring of a value back."""
    if what in VALUES:
        lines[:] = app.env.temp_data.pop(SHIELDED)


def skip_plain_fields(app, what, name, obj, skip, options):
    """Leave out fields that have no docstring of their own; the signature shows them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def shorten(app, what, name, obj, options, signature, returned):
    """Shorten the types of a signature that is shown as it stands, being no Python."""
    if signature and "<" in signature:  # such as <factory>
        signature = re.sub(r"~[\w.]*\.", "", signature)
    return signature, returned


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", shield, priority=400)
    app.connect("autodoc-process-docstring", unshield, priority=600)
    app.connect("autodoc-skip-member", skip_plain_fields)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
