"""Files of options, flags and names, as nobody should write them."""

import pytest

from maml_rl import evaluate, plot, train
from tests.robustness.promise import DEEP, LAUGHS, LONG_PATH, MERGES, SIXTIES, assert_refused

TEXTS = {
    "laughs": LAUGHS,
    "laughs of an option": LAUGHS.replace("a9:", "hidden_sizes:"),
    "merges": MERGES,
    "a merge": "a: &a {seed: 1}\n<<: *a",
    "of itself": "&a {seed: *a}",
    "a key of itself": "&a {? *a : 1}",
    "base 60": SIXTIES,
    "a key twice": "seed: 1\nseed: 2",
    "a key twice below": "seed: {a: 1, a: 2}",
    "deep": DEEP,
    "deep mappings": "{a: " * 40_000,
    "deep blocks": "- " * 60_000,
    "deep keys": "? " * 60_000,
    "deep in an option": f"hidden_sizes: {'[' * 15}1{']' * 15}",
    "10 MB": "seed: 1 #" + "x" * 10_000_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(20_000)),
    "many sizes": "hidden_sizes: [" + "1," * 90_000 + "1]",
    "a large number": "iterations: 0x" + "f" * 900,
    "a large key": "0x" + "f" * 900 + ": 1",
    "a list as key": "? [1]\n: 2",
    "a set": "!!set {a}",
    "a tag": "seed: !!int ''",
    "another tag": "seed: !!timestamp x",
    "an object": "!!python/object/apply:os.system [ls]",
    "bytes": "env: !!binary aGVsbG8=",
    "line ends": '"a\\u2028b\\r": 1',
    "two documents": "seed: 1\n---\nseed: 2",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_file_of_options(tmp_path, capfd, text) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    arguments = ["--config", str(path), "--run-dir", str(tmp_path / "run")]
    assert_refused(train.main, arguments, tmp_path, capfd, "options.yaml")


@pytest.mark.parametrize("content", [bytes(range(256)), b"\xff\xfes\0e\0e\0d\0", b"\0" * 1000])
def test_a_binary_file(tmp_path, capfd, content) -> None:
    path = tmp_path / "options.yaml"
    path.write_bytes(content)
    assert_refused(train.main, ["--config", str(path), "--run-dir", str(tmp_path / "run")], tmp_path, capfd, "options")


@pytest.mark.parametrize("path", ["/", "/dev/zero", LONG_PATH, "a\nb", "a\0b"])
def test_a_path(tmp_path, capfd, path) -> None:
    run = str(tmp_path / "run")
    assert_refused(train.main, ["--config", path, "--run-dir", run], tmp_path, capfd)
    assert_refused(train.main, ["--resume", path], tmp_path, capfd)


ARGUMENTS = [
    ["--algorithm-options", "3"],
    ["--algorithm-option", "3"],
    ["--" + "x" * 1_000_000],
    ["--env", "x" * 1_000_000],
    ["--env", LONG_PATH + ":x"],
    ["--env", "json:" + LONG_PATH],
    ["--env", ":"],
    ["--env", "a:"],
    ["--env", "os:path"],
    ["--env", "\udcff:x"],
    ["--env", "[/b]:{x}%s"],
    ["--preset", "x" * 1_000_000],
    ["--hidden-sizes", *["1"] * 100_000],
    ["--num-tasks", "1000000", "--episodes-per-task", "1000000", "--horizon", "1000000"],
    ["--iterations", "9" * 18],
    ["--a\rb\u2028c\x85d"],
    ["--env", "a\x1b[2Jb"],
    ["--run-dir", "a\0b"],
    ["-"],
    [""],
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda arguments: " ".join(arguments)[:30])
def test_flags_of_training(tmp_path, capfd, arguments) -> None:
    assert_refused(train.main, ["--run-dir", str(tmp_path / "run"), *arguments], tmp_path, capfd)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", LONG_PATH + ".json"],
        ["--output", "x" * 251 + ".json"],
        ["--output", "/x" * 3_000 + ".json"],
        ["--video", LONG_PATH + ".gif"],
        ["--video-size", *["1"] * 100_000, "--video", "x.gif"],
        ["--tasks", "9" * 18],
        ["--fixed-task", "x" * 100_000],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_flags_of_evaluation(tmp_path, capfd, arguments) -> None:
    assert_refused(evaluate.main, ["navigation-2d", *arguments], tmp_path, capfd)


@pytest.mark.parametrize("command", [train.main, evaluate.main, plot.main])
@pytest.mark.parametrize(
    "arguments",
    [[], ["--env", "[/b]:x"], ["--env", "\udcff:x"], ["--run-dir", "{x}%s[/]"], ["--config", LONG_PATH], ["--x\n"]],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_help_comes_whatever_else_is_asked(capfd, command, arguments) -> None:
    with pytest.raises(SystemExit) as end:
        command([*arguments, "--help"])
    assert end.value.code in (0, None)
    assert "usage: python -m maml_rl." in capfd.readouterr().out


@pytest.mark.parametrize("flag", ["--iner-lr", "--İnner-lr", "--inner-lr\n", "--inner\u2028lr", "--INNER-LR"])
def test_the_nearest_name_survives_every_letter(tmp_path, capfd, flag) -> None:
    assert_refused(train.main, [flag, "1"], tmp_path, capfd, "nearest: --inner-lr")
