"""Stored data that names a program: it is a label, and nothing runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from hostile.attack import Attack
from hostile.work import cli, goldens_in, inside, prepare
from synthetic import blob, make_result

import xai_eval
from xai_eval.disk.arrays import deflated
from xai_eval.errors import InputUnavailable, XaiEvalError
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.models.bundled_models import read_safetensors
from xai_eval.inputs.models.model_weights import read_checkpoint
from xai_eval.inputs.models.named_programs import only_programs
from xai_eval.report.drawing.curves import draw_curve
from xai_eval.result.fields import Curve
from xai_eval.result.result import Result
from xai_eval.run.restore_factors import RunRequest, compute_with_restored
from xai_eval.store.checkout import checkout_of
from xai_eval.store.git_base import git_base
from xai_eval.store.history import whoami
from xai_eval.store.noise import Noise
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

_KIND = "programs chosen by data"


def _postscript(folder: Path) -> str | None:
    path = folder / "photo.png"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n/Helvetica findfont 10 scalefont setfont\nshowpage\n"
    )
    try:
        decode(path)
    except InputUnavailable as error:
        return None if "photo.png" in str(error) and "hostscript" not in str(error) else f"the error says {error}"
    return "it was decoded"


# A file that leaves a trace as soon as any of it runs.
_EVIL = """
from pathlib import Path
Path({trace!r}).write_text("ran")
def net(*given): raise SystemExit(0)
"""


def _planted(folder: Path) -> Path:
    """Write a Python file whose code leaves a trace; return the path of the trace."""
    trace = folder / "RAN"
    (folder / "evil.py").write_text(_EVIL.format(trace=str(trace)))
    return trace


def _drifted(folder: Path, *, golden_model: str, run_model: str, request: Mapping[str, Any]) -> None:
    """A run and a golden of one case that differ, with what their documents claim."""
    obtained = make_result("0.jpg", saliency=blob(8, 8, size=32, width=8), model=run_model, weights="b" * 64)
    golden = make_result("0.jpg", saliency=blob(8, 24, size=32, width=8), model=golden_model)
    obtained.save(folder / "reports" / RESULTS_FOLDER / obtained.case.key)
    goldens_in(folder).store(golden, "x")
    RunRecord(
        ("cams",),
        (run_model,),
        ("photos",),
        1,
        requests={"cams": {"device": "cpu", "params": {}, **request}},
        finished=True,
    ).save(folder / "reports")


_EXPLAIN = ("explain-drift", "0.jpg", "--device", "cpu")
_COMMANDS = (
    ("check",),
    ("report",),
    ("diff", "reports", "reports"),
    ("accept", "--all", "--reason", "x"),
    ("log", "0.jpg"),
    ("prune",),
    _EXPLAIN,
)
_SPEC = "file:evil.py:net"
_FORGED: dict[str, Mapping[str, Any]] = {
    "the model of run.json": {
        "run_model": "scenes:objects",
        "golden_model": "scenes:objects",
        "request": {"model": _SPEC},
    },
    "the model of a run and a golden": {"run_model": _SPEC, "golden_model": _SPEC, "request": {"model": _SPEC}},
    "a model with options": {
        "run_model": _SPEC,
        "golden_model": _SPEC,
        "request": {"model": f"{_SPEC}?output=embedding"},
    },
    "a path that means the same": {
        "run_model": _SPEC,
        "golden_model": _SPEC,
        "request": {"model": "file:./x/../evil.py:net"},
    },
    "a file of tasks": {"run_model": "m", "golden_model": "m", "request": {"model": _SPEC, "task_file": "evil.py"}},
    "parameters": {
        "run_model": "scenes:objects",
        "golden_model": "scenes:objects",
        "request": {"model": _SPEC, "params": {"methods": [_SPEC], "model": _SPEC, "x": {"y": _SPEC}}},
    },
}


def _forged(claims: Mapping[str, Any], folder: Path) -> str | None:
    trace = _planted(folder)
    (folder / "x").mkdir()
    _drifted(folder, **claims)
    with inside(folder):
        for words in _COMMANDS:
            try:
                cli(*words)
            except XaiEvalError as error:
                if words is _EXPLAIN and "evil.py" in str(error) and "--model" not in str(error):
                    return f"it does not say how to name it: {error}"
            if trace.exists():
                return f"{words[0]} ran it"
    return None


def _of_the_golden(folder: Path) -> str | None:
    """Only the golden names it, and the case is computed with the model of the golden."""
    trace = _planted(folder)
    golden = make_result("0.jpg", model=_SPEC)
    with inside(folder), only_programs([]):
        for spec in (golden.case.model, f"{_SPEC}?box=0", [_SPEC], {"a": _SPEC}):
            request = RunRequest(
                "cams", model=spec if isinstance(spec, str) else "scenes:objects", params={"methods": spec}
            )
            for restored in ((), ("model",)):
                try:
                    compute_with_restored(request, golden.case, golden, restored)
                except (XaiEvalError, TypeError, ValueError):
                    continue
                return f"{spec} is computed"
    return "it ran" if trace.exists() else None


def _named_runs(folder: Path) -> str | None:
    """What a person names does run, under whatever spelling of its path; else nobody could explain a drift."""
    trace = _planted(folder)
    _drifted(
        folder, run_model=_SPEC, golden_model=_SPEC, request={"model": str(folder / "evil.py").join(("file:", ":net"))}
    )
    with inside(folder), contextlib.suppress(XaiEvalError):
        cli(*_EXPLAIN, "--model", _SPEC)
    return None if trace.exists() else "it did not run"


def _named_in_configuration(folder: Path) -> str | None:
    trace = _planted(folder)
    _drifted(folder, run_model=_SPEC, golden_model=_SPEC, request={"model": _SPEC})
    (folder / "xai_eval.toml").write_text(f'models = ["{_SPEC}"]\n[[suite]]\ntask = "cams"\n')
    with inside(folder), contextlib.suppress(XaiEvalError):
        cli(*_EXPLAIN)
    return None if trace.exists() else "it did not run"


def _python(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start the command line in a process of its own, in the folder, as `python -m` does."""
    environment = {**os.environ, "PYTHONPATH": str(Path(xai_eval.__file__).parents[1]), **variables}
    return subprocess.run(
        [sys.executable, "-m", "xai_eval", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )


def _shadowing(folder: Path) -> str | None:
    """Files of the checkout with the names of libraries, and metadata of packages that name entry points."""
    trace = _planted(folder)
    prepare(folder)
    code = (folder / "evil.py").read_text()
    for name in (
        "numpy",
        "json",
        "pandas",
        "matplotlib",
        "sitecustomize",
        "usercustomize",
        "jinja2",
        "tomllib",
        "antigravity",
    ):
        (folder / f"{name}.py").write_text(code)
    (folder / "xai_eval").mkdir()
    (folder / "xai_eval" / "__init__.py").write_text(code)
    (folder / "evil.pth").write_text("import evil\n")
    metadata = folder / "evil-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[xai_eval.tasks]\nevil = evil:net\n[pytest11]\nevil = evil\n")
    script = "import sys; sys.argv = ['xai-eval', 'report']; from xai_eval.cli.main import main; sys.exit(main())"
    (folder.parent / "bin").mkdir(exist_ok=True)
    console = folder.parent / "bin" / "xai-eval"  # as an installer writes it: the folder of the script comes first
    console.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(xai_eval.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(console)], cwd=folder, capture_output=True, text=True, timeout=600, env=environment
    )
    if trace.exists() or done.returncode:
        return f"something ran, or the report failed: {done.stderr[-300:]}"
    return None


def _shadowing_a_module_run(folder: Path) -> str | None:
    """The same with `python -m xai_eval`, for all that is imported after the package itself."""
    trace = _planted(folder)
    prepare(folder)
    for name in ("pandas", "matplotlib", "jinja2", "tomllib"):
        (folder / f"{name}.py").write_text((folder / "evil.py").read_text())
    done = _python(folder, "report")
    return f"it ran: {done.stderr[-300:]}" if trace.exists() or done.returncode else None


def _matplotlibrc(folder: Path) -> str | None:
    """Settings of matplotlib that start LaTeX, take for ever, or never end."""
    prepare(folder)
    trace, programs = folder / "RAN", folder / "bin"
    programs.mkdir()
    for name in ("latex", "pdflatex", "dvipng", "gs", "kpsewhich"):
        (programs / name).write_text(f"#!/bin/sh\necho ran > {trace}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    settings = folder / "matplotlibrc"
    for content in (
        "text.usetex: True\nbackend: module://evil\nfont.family: nothing\nsavefig.dpi: 99999\nfigure.dpi: 99999\n",
        "axes.prop_cycle: cycler('color', 'r') * (9**9**9)\n",
        None,
    ):
        settings.unlink(missing_ok=True)
        settings.symlink_to("/dev/zero") if content is None else settings.write_text(content)
        try:
            done = _python(folder, "report", PATH=path)
        except subprocess.TimeoutExpired:
            return f"it hangs with {content!r}"
        if trace.exists() or done.returncode or "matplotlibrc" in done.stderr:
            return f"obeyed: {content!r} {done.stderr[-300:]}"
    return None


def _drawn_in_own_style(folder: Path) -> str | None:
    """The same figure, whatever the settings of the process are."""
    curve = Curve(np.linspace(0, 1, 3), {"kept": np.linspace(0, 1, 3)}, "share", "probability", 0.1)
    plain = draw_curve(curve)
    with matplotlib.rc_context(
        {"axes.facecolor": "red", "font.size": 40.0, "lines.linewidth": 9.0, "figure.dpi": 10.0}
    ):
        return None if np.array_equal(draw_curve(curve), plain) else "the figure looks different"


def _bare_repository(folder: Path) -> str | None:
    """A folder of the checkout that git takes for a repository of its own, with programs in its configuration."""
    trace = folder / "RAN"
    command = f"touch {trace}; cat"
    checkout = folder / "checkout"
    quiet = {"cwd": checkout, "check": True, "capture_output": True}
    checkout.mkdir()
    subprocess.run(["git", "init", "--bare", "-q", "."], **quiet)
    work = checkout / "work"
    work.mkdir()
    settings = {
        "core.bare": "false",
        "core.worktree": str(work),
        "core.fsmonitor": command,
        "filter.x.clean": command,
        "diff.x.textconv": command,
        "diff.external": command,
        "core.pager": command,
        "user.name": "Mallory",
        "core.sshCommand": command,
        "core.hooksPath": str(folder),
        "diff.x.command": command,
    }
    for name, value in settings.items():
        subprocess.run(["git", "config", "--file", "config", name, value], **quiet)
    (work / "golden").mkdir()
    (work / "golden" / "a").write_text("1")
    (checkout / "golden").mkdir()
    own = {"GIT_DIR": str(checkout), "GIT_WORK_TREE": str(work), "PATH": os.environ["PATH"], "HOME": str(folder)}
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for words in (["add", "golden/a"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-c", "core.fsmonitor=false", *who, *words], env=own, **quiet)
    (checkout / "info" / "attributes").write_text("* filter=x diff=x\n")
    (work / "golden" / "a").write_text("2")
    trace.unlink(missing_ok=True)
    with inside(checkout):
        with contextlib.suppress(XaiEvalError):
            base = git_base(Path.cwd(), "HEAD")
            base.changed(Path("golden"))
        whoami.cache_clear()
        checkout_of(Path.cwd())
        name = whoami()
        whoami.cache_clear()
    if trace.exists():
        return "git ran a program of the checkout"
    return "the checkout says who accepts" if name == "Mallory" else None


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def _pickles(folder: Path) -> str | None:
    """A pickle in the place of every stored file, plain, as numpy and as torch write it, packed and not."""
    trace = folder / "RAN"
    buffers = [io.BytesIO(), io.BytesIO()]
    np.savez(buffers[0], a=np.array([_Bomb(trace)], dtype=object))
    torch.save({"a": _Bomb(trace)}, buffers[1])
    contents = [pickle.dumps(_Bomb(trace)), *(each.getvalue() for each in buffers)]
    prepare(folder)
    places = [path for path in folder.rglob("*") if path.is_file()]
    for content in (*contents, *(deflated(each) for each in contents)):
        for path in places:
            path.write_bytes(content)
        for path in places:
            with contextlib.suppress(XaiEvalError):
                Result.load(path.parent)
            with contextlib.suppress(XaiEvalError):
                read_checkpoint(path)
            with contextlib.suppress(XaiEvalError):
                read_safetensors(path)
            with contextlib.suppress(XaiEvalError, OSError, ValueError):
                Noise.load(path.parent)
        shards = Checkpoints(folder / "shards")
        shards.folder.mkdir(exist_ok=True)
        (shards.folder / "shard-00000.npz").write_bytes(content)
        vouching = {"sha256": hashlib.sha256(content).hexdigest(), "shard": {}}
        (shards.folder / "shard-00000.json").write_text(json.dumps(vouching))
        if shards.load(0) is not None:
            return "a checkpoint is read"
        if trace.exists():
            return "a pickle ran"
    return None


ATTACKS = (
    Attack("PostScript named .png", _KIND, "no raster format: an error that names the file", _postscript),
    *(
        Attack(
            f"{name}: a Python file",
            _KIND,
            "it is a label, and the error says how to name it",
            partial(_forged, claims),
            slow=True,
        )
        for name, claims in _FORGED.items()
    ),
    Attack("the golden's model is a Python file", _KIND, "it is not run", _of_the_golden, slow=True),
    Attack("a Python file that the command line names", _KIND, "it is run", _named_runs, slow=True),
    Attack("a Python file that the configuration names", _KIND, "it is run", _named_in_configuration, slow=True),
    Attack("files named like libraries beside the console script", _KIND, "not imported", _shadowing, slow=True),
    Attack("files named like libraries and python -m", _KIND, "not imported", _shadowing_a_module_run, slow=True),
    Attack("a matplotlibrc in the working directory", _KIND, "not obeyed", _matplotlibrc, slow=True),
    Attack("settings of matplotlib in this process", _KIND, "figures are drawn with its own", _drawn_in_own_style),
    Attack("a folder that git takes for a repository", _KIND, "its configuration is not obeyed", _bare_repository),
    Attack("pickles in the place of every file", _KIND, "none is loaded", _pickles, slow=True),
)
