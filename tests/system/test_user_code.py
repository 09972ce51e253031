"""Files of `--code` that cannot be imported: the message has the file's own line, without frames of mmtrain."""

import pytest

from mmtrain.errors import UsageError
from mmtrain.system.user_code import import_code


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (
            "\nfrom mmtrain.branches import branch\n\nbranch('text')\n",
            4,
            "ValueError: A branch takes one or more of the kinds index, tokens, ",
        ),
        ("import math\n\ndef half():\n    return 1 / 0\n\nhalf()\n", 4, "ZeroDivisionError: division by zero."),
        ("one = 1\ntwo = = 2\n", 2, "SyntaxError: invalid syntax"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_its_line(tmp_path, content, line, words):
    path = tmp_path / "wrong.py"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        import_code([path])
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: the file could not be imported: {words}")
    assert message.endswith(f"Mend it; `python {path}` shows the whole traceback.")


def test_a_file_of_another_language_is_refused(tmp_path):
    (tmp_path / "code.txt").touch()
    with pytest.raises(UsageError) as refused:
        import_code([tmp_path / "code.txt"])
    assert str(refused.value) == f"--code: {tmp_path / 'code.txt'} is not a Python file. Give the path of a file ending in .py."
