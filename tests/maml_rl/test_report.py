"""The page about runs: its parts for every kind of tasks, bad input, and a real browser that reads it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from maml_rl import train
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.page import gathering
from maml_rl.report import main
from maml_rl.runs.validation import Validator
from tests.maml_rl.chromium import CHROMIUM, visit
from tests.maml_rl.test_data_commands import SMALL
from tests.maml_rl.test_train import TINY

QUICK = ["--tasks", "4", "--gradient-steps", "2", "--num-threads", "1", "--device", "cpu"]
OF_POLICIES = [*QUICK, "--episodes", "2"]
NAME = '<b>run & "it\'s"'
WITHOUT_CG = TINY[: TINY.index("--cg-iterations")] + TINY[TINY.index("--cg-iterations") + 2 :]
RUNS = {
    "navigation": ["--env", "navigation-2d", *TINY],
    "promp": ["--env", "navigation-2d", *WITHOUT_CG, "--algorithm", "promp"],
    "cheetah": ["--env", "halfcheetah-vel", *TINY],
    "bandit": ["--env", "bandit", *TINY],
    "omniglot": ["--data", "omniglot", "--ways", "3", "--queries", "2", *SMALL, "--metrics-every", "1"],
    "sinusoid": ["--data", "sinusoid", "--hidden-sizes", "8", *SMALL, "--metrics-every", "1"],
}


class Elements(HTMLParser):
    """The elements of a page: their names and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [value for _, each in self.found if (value := each.get(attribute)) is not None]

    def of_class(self, name: str) -> int:
        return sum(name in (each.get("class") or "").split() for _, each in self.found)

    def named(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two iterations of each kind; the first one in a folder whose name is not to be trusted."""
    folder = tmp_path_factory.mktemp("runs")
    paths = {kind: folder / (NAME if kind == "navigation" else kind) for kind in RUNS}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Validator, "_draw", lambda *_: None)  # the figures of a finished run take a while
        for kind, flags in RUNS.items():
            assert train.main([*flags, "--iterations", "2", "--run-dir", str(paths[kind])]) == 0
    return paths


def report(folder: Path, *arguments: object) -> str:
    output = folder / "report.html"
    assert main([*map(str, arguments), "--output", str(output)]) == 0
    return output.read_text()


def tasks_of(page: str) -> list[dict]:
    """What the script is told of each run."""
    return [json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def test_a_page_about_navigation(tmp_path, runs) -> None:
    page = report(tmp_path, runs["navigation"], *OF_POLICIES)
    elements = Elements(page)
    sections = [each["id"] for tag, each in elements.found if tag == "section"]
    assert sections == ["run", "learning", "steps", "tasks", "tracks", "videos", "time"]
    assert elements.of_class("figure") == 2  # learning curves, and adaptation
    assert elements.of_class("plane") == 3  # before, after one step, after two
    assert elements.of_class("task") == 3 * 4
    assert elements.of_class("tracks") == 4
    assert elements.named("video") == 3
    for words in ("python -m maml_rl.train --env navigation-2d", "PyTorch", "processor", "95 % interval", "collect"):
        assert words in page
    assert re.search(r"<code>--num-tasks</code></th><td>3</td><td>\d+</td>", page)  # not as the preset has it
    [about] = tasks_of(page)
    assert about["steps"] == ["before adaptation", "after 1 gradient step", "after 2 gradient steps"]
    films = {each["film"] for each in about["tasks"]} - {""}
    assert films == {each["id"] for tag, each in elements.found if tag == "video"}
    assert len(page) < 2e6


def test_names_are_text(tmp_path, runs) -> None:
    page = report(tmp_path, runs["navigation"], *OF_POLICIES, "--no-video")
    assert "<b>" not in page
    assert "&lt;b&gt;run &amp; " in page


def test_a_page_holds_all_that_it_needs(tmp_path, runs) -> None:
    elements = Elements(report(tmp_path, runs["navigation"], *OF_POLICIES))
    for attribute in ("src", "href", "xlink:href", "poster", "srcset", "action"):
        assert all(value.startswith(("#", "data:")) for value in elements.values(attribute)), attribute
    [policy] = [value for value in elements.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    names = elements.values("id")
    assert len(names) == len(set(names))


def test_a_page_is_the_same_again_but_for_the_time(tmp_path, runs) -> None:
    pages = [report(tmp_path, runs["navigation"], *OF_POLICIES) for _ in range(2)]
    one, other = (re.sub(r"Made \S+ by", "", page) for page in pages)
    assert one == other


def test_speeds_lie_on_a_line(tmp_path, runs) -> None:
    page = report(tmp_path, runs["cheetah"], *OF_POLICIES, "--no-video")
    elements = Elements(page)
    assert elements.of_class("chart") == 1
    assert elements.of_class("plane") == elements.of_class("tracks") == elements.named("video") == 0
    assert "task (m/s)" in page
    assert "--no-video" in page


def test_tasks_without_a_place_are_ranked(tmp_path, runs) -> None:
    page = report(tmp_path, runs["bandit"], *OF_POLICIES, "--no-video")
    assert "from the worst to the best" in page
    at = {int(number): float(x) for number, x in re.findall(r'data-task="(\d+)".*?<circle cx="([\d.]+)"', page)}
    [about] = tasks_of(page)
    last = [float(task["values"][-1]) for task in about["tasks"]]
    assert [last[number] for number in sorted(at, key=at.__getitem__)] == sorted(last)


@pytest.mark.parametrize(("kind", "charts", "planes"), [("omniglot", 1, 0), ("sinusoid", 0, 3)])
def test_data_sets(tmp_path, runs, kind: str, charts: int, planes: int) -> None:
    page = report(tmp_path, runs[kind], *QUICK)
    elements = Elements(page)
    sections = [each["id"] for tag, each in elements.found if tag == "section"]
    assert sections == ["run", "learning", "steps", "tasks", "pictures", "videos", "time"]
    assert (elements.of_class("chart"), elements.of_class("plane")) == (charts, planes)
    assert elements.of_class("figure") == 3
    assert "There are no videos of a data set" in page


def test_several_runs_and_a_policy_of_the_package(tmp_path, runs) -> None:
    page = report(tmp_path, runs["navigation"], runs["promp"], *OF_POLICIES, "--video-tasks", "1")
    elements = Elements(page)
    assert "less the first" in page
    assert elements.named("video") == 2
    assert elements.of_class("figure") == 3  # a third one compares them
    assert len(tasks_of(page)) == 2
    page = report(tmp_path, "navigation-2d", *OF_POLICIES, "--no-video")
    assert "checkpoint without its run" in page
    assert 'id="learning"' not in page


def test_an_old_run_and_a_machine_without_pictures(tmp_path, runs, monkeypatch) -> None:
    def no_film(*_: object) -> None:
        raise RenderingError("no OpenGL backend renders <here>")

    monkeypatch.setattr(gathering, "film", no_film)
    (runs["cheetah"] / "environment.json").rename(tmp_path / "environment.json")
    page = report(tmp_path, runs["cheetah"], *OF_POLICIES)
    (tmp_path / "environment.json").rename(runs["cheetah"] / "environment.json")
    assert "begun by an earlier version" in page
    assert "no OpenGL backend renders &lt;here&gt;" in page


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["no run", "one or more"]),
        (["RUN"], ["--output", ".html"]),
        (["RUN", "--output", "a.pdf"], ["--output", "a.pdf", ".html"]),
        (["RUN", "--output", "nowhere/a.html"], ["--output", "a folder that exists"]),
        (["RUN", "RUN", "--output", "a.html"], ["twice"]),
        (["missing", "--output", "a.html"], ["missing", "does not exist"]),
        (["RUN", "OTHER", "--output", "a.html"], ["env"]),
        (["RUN", "--output", "a.html", "--task", "3"], ["unknown option", "nearest: --tasks"]),
        (["RUN", "--output", "a.html", "--tasks", "0"], ["--tasks", "0"]),
        (["RUN", "--output", "a.html", "--no-video", "--video-tasks", "2"], ["--video-tasks", "--no-video"]),
        (["DATA", "--output", "a.html", "--video-tasks", "2"], ["--video-tasks", "no effect"]),
        (["DATA", "--output", "a.html", "--episodes", "2"], ["--episodes", "no effect"]),
        (["RUN", "--output", "a.html", "--fixed-tasks", "no.json"], ["--fixed-tasks", "no.json"]),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, runs, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    words = {"RUN": runs["navigation"], "OTHER": runs["cheetah"], "DATA": runs["omniglot"]}
    assert main([str(words.get(each, each)) for each in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    for part in parts:
        assert part in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
@pytest.mark.parametrize(("kind", "width", "dark"), [("navigation", 1200, False), ("cheetah", 390, True)])
def test_a_browser_reads_it(tmp_path, runs, kind: str, width: int, dark: bool) -> None:
    page = report(tmp_path, runs[kind], *OF_POLICIES, *(["--no-video"] if kind == "cheetah" else []))
    seen = visit(tmp_path / "report.html", tmp_path / "browser", width, dark)
    assert seen.console == []  # no error, and no request, which the page's policy would make one
    before, after = Elements(page), Elements(seen.document)
    for name in ("figure", "chart", "plane", "tracks", "task", "key"):
        assert after.of_class(name) == before.of_class(name), name
    assert after.values("tabindex").count("0") == 1  # the script has run

    # The same with a probe, which the policy would not let in.
    probe = """<script>
        const tasks = [...document.querySelectorAll(".task[tabindex]")];
        tasks[0].focus();
        tasks[0].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
        document.body.dataset.wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
        document.body.dataset.ink = getComputedStyle(document.querySelector("svg.figure text")).fill;
        const flat = [...document.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().height < 5);
        document.body.dataset.flat = flat.length;
    </script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</body>", probe))
    seen = visit(probed, tmp_path / "another", width, dark)
    [about] = tasks_of(page)
    detail = re.search(r'<div class="detail".*?</figure>', seen.document, re.DOTALL)
    assert detail
    assert f"<h4>{about['tasks'][1]['name']}</h4>" in detail[0]
    assert all(f"<td>{value}</td>" in detail[0] for value in about["tasks"][1]["values"])
    assert ("<video" in detail[0]) == bool(about["tasks"][1]["film"])
    [body] = [each for tag, each in Elements(seen.document).found if tag == "body"]
    assert (int(body["data-wider"] or 1), body["data-flat"]) == (0, "0")  # nothing hangs over the edge
    assert body["data-ink"] == ("rgb(232, 235, 238)" if dark else "rgb(27, 31, 36)")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
def test_a_request_would_be_seen(tmp_path, runs) -> None:
    page = report(tmp_path, runs["bandit"], *OF_POLICIES, "--no-video")
    spoiled = tmp_path / "spoiled.html"
    spoiled.write_text(page.replace("</main>", '<img src="http://localhost:9/a.png" alt=""></main>'))
    assert any("Content Security Policy" in line for line in visit(spoiled, tmp_path / "browser").console)
