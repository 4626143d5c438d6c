"""S3's XML documents: written from nested pairs, read with their namespace removed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias
from xml.etree import ElementTree

from slimreel.local.s3.errors import S3Error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Scalar: TypeAlias = str | int | bool | None
Content: TypeAlias = "Scalar | Iterable[tuple[str, Content]]"


def document(name: str, content: Content, *, namespace: bool = True) -> bytes:
    """The document `<name>` with `content`: text, or (name, content) pairs; None is left out."""
    root = ElementTree.Element(name, {"xmlns": NAMESPACE} if namespace else {})
    _fill(root, content)
    return serialized(root)


def serialized(root: ElementTree.Element) -> bytes:
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _fill(element: ElementTree.Element, content: Content) -> None:
    if isinstance(content, bool):
        element.text = "true" if content else "false"
    elif isinstance(content, str | int):
        element.text = str(content)
    elif content is not None:
        for name, inner in content:
            if inner is not None:
                _fill(ElementTree.SubElement(element, name), inner)


def parsed(body: bytes, root_name: str) -> ElementTree.Element:
    """The root element of `body`, all names without namespace.

    Raises:
        S3Error: MalformedXML when it is not XML, has a DTD, or its root is not `root_name`.
    """
    try:
        if b"<!DOCTYPE" in body:  # no S3 document has one; it is how entity bombs come in
            raise ElementTree.ParseError("a document type declaration")
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise malformed() from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != root_name:
        raise malformed()
    return root


def text(element: ElementTree.Element, path: str) -> str | None:
    """The text at `path` under `element` ("" for an empty element), or None without one."""
    found = element.find(path)
    return None if found is None else found.text or ""


def timestamp(moment: datetime) -> str:
    """A UTC time as S3's documents write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def malformed() -> S3Error:
    return S3Error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
