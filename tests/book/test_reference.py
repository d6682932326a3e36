"""The reference and the glossary: whole, and in docstrings that say what a caller has to know."""

import ast
import inspect
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

from tests.book.conftest import ROOT
from tests.book.test_house import modules

NO_OWN_NAMES = {"avvp", "avvp.models", "avvp.cli", "avvp.__main__"}
"""What has no names of its own: packages that collect those of others, and the command."""

ARRAYS = {"Tensor", "Tensor | None", "np.ndarray", "np.ndarray | None"}
SHAPE = re.compile(r"\([A-Za-z0-9.]*,|\([A-Z], |\([0-9]+, |any shape|same shape|\(\.\.\.")
SENT_ON = re.compile(r"arguments as in|:func:`|:meth:`")


def public_modules() -> dict[str, Path]:
    return {
        name: file
        for name, file in modules().items()
        if name not in NO_OWN_NAMES and not name.startswith("avvp.commands")
    }


def test_every_module_is_on_one_page():
    text = "".join(p.read_text("utf-8") for p in (ROOT / "book" / "reference").glob("*.md"))
    listed = Counter(re.findall(r"automodule:: (\S+)", text))
    assert set(listed) == set(public_modules())
    assert set(listed.values()) == {1}


@pytest.mark.timeout(1800)
def test_every_public_name_is_in_the_rendered_reference(published_book):
    with (published_book.html / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    rendered = {
        name for kind, names in inventory.items() if kind.startswith("py:") for name in names
    }
    missing = []
    for name in public_modules():
        module = import_module(name)
        for key, value in vars(module).items():
            own = getattr(value, "__module__", None) == name
            if (
                own
                and key in getattr(module, "__all__", [key])
                and not key.startswith("_")
                and (inspect.isclass(value) or callable(value))
            ):
                missing += [f"{name}.{key}"] if f"{name}.{key}" not in rendered else []
    assert len(rendered) > 300
    assert not missing


def functions(tree: ast.Module):
    """Every public function and method with its docstring; a constructor has its class's too."""

    def walk(node: ast.AST, prefix: str, told: str):
        for inner in node.body:
            if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
                doc = ast.get_docstring(inner) or ""
                yield f"{prefix}{inner.name}", None, doc
                yield from walk(inner, f"{prefix}{inner.name}.", doc)
            elif isinstance(inner, ast.FunctionDef):
                doc = ast.get_docstring(inner) or ""
                if inner.name == "__init__":
                    doc += told
                elif inner.name.startswith("_"):
                    continue
                yield f"{prefix}{inner.name}", inner, doc

    yield from walk(tree, "", "")


def faults(source: str) -> list[str]:
    found = []
    for name, function, doc in functions(ast.parse(source)):
        if not doc.strip():
            found.append(f"{name} has no docstring")
        if function is None:
            continue
        raised = [
            ast.unparse(node.exc)
            for node in ast.walk(function)
            if isinstance(node, ast.Raise) and node.exc is not None
        ]
        told = "Raises:" in doc or name.endswith("__init__")
        if any("AvvpError" in error for error in raised) and not told:
            found.append(f"{name} raises AvvpError and does not say so")
        arguments = [*function.args.args, *function.args.kwonlyargs]
        taken = {ast.unparse(a.annotation) for a in arguments if a.annotation}
        if taken & ARRAYS and not SHAPE.search(doc) and not SENT_ON.search(doc):
            found.append(f"{name} takes an array and gives no shape")
    return found


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def f(): pass", "f has no docstring"),
        ("class A:\n  'x'\n  def f(self): pass", "A.f has no docstring"),
        ("def f():\n  'x'\n  raise AvvpError('y')", "f raises AvvpError and does not say so"),
        ("def f(x: Tensor):\n  'x'", "f takes an array and gives no shape"),
    ],
)
def test_a_poor_docstring_is_found(source, fault):
    assert faults(source) == [fault]


def test_docstrings_give_shapes_and_errors():
    found = [
        f"{name}: {fault}"
        for name, file in public_modules().items()
        for fault in faults(file.read_text("utf-8"))
    ]
    assert not found


def test_every_loss_and_network_names_its_source():
    """A term comes from an equation of a paper, or from a method that is named."""
    paper = re.compile(r"Eqs?\.|Sec\.|MGN|MA\b|HAN|Cross-Modal|AVE|AVSDN|TALNet|STPN|CMCS|release")
    tree = ast.parse((ROOT / "avvp" / "losses.py").read_text("utf-8"))
    poor = [
        name
        for name, function, doc in functions(tree)
        if function is not None and "." not in name and not paper.search(doc)
    ]
    assert not poor


def test_the_glossary_explains_what_chapters_say():
    text = (ROOT / "book" / "glossary.md").read_text("utf-8")
    chapters = "".join(p.read_text("utf-8") for p in (ROOT / "notebooks").glob("*.py")).lower()
    for term in ("MMIL pooling", "weak label", "segment", "modality", "grouping"):
        assert term in text and term.lower() in chapters
    for name in re.findall(r"\{doc\}`(\w+)`", text):
        assert (ROOT / "notebooks" / f"{name}.py").is_file(), name
