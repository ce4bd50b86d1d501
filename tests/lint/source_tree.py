"""A tree of source files that a test of a check makes up."""

import contextlib
import pathlib
import tempfile


@contextlib.contextmanager
def source_tree(files):
    """A directory with these files, {path: text}, while it is in use."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory).resolve()
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        yield root
