"""Drop what the theme would fetch from other servers: the scripts that run cells in a browser."""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Remove every script and style sheet of thebe from one page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if "thebe" not in str(file)]


def setup(app):
    """Called by Sphinx."""
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
