"""Links, special files, full disks and kills: nothing outside is touched, nothing hangs, and nothing is half done."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from counted_kills import kill, moments
from hostile.attack import Attack
from hostile.failing_disk import FAILURES, Failing, Killed, failing
from hostile.work import (
    NAMES,
    WORKS,
    Work,
    bury,
    calibrate,
    cli,
    explained,
    goldens_in,
    hidden,
    inside,
    obtain,
    prepare,
    save_again,
    write_run,
)
from synthetic import blob, make_result

from xai_eval.disk import door
from xai_eval.errors import XaiEvalError
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State
from xai_eval.inputs.first_received import check_first_received
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.models.bundled_models import read_safetensors
from xai_eval.inputs.models.model_weights import read_checkpoint
from xai_eval.inputs.probes.concept_sets import load_concepts
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, read_arrays
from xai_eval.store.history import HISTORY_FILE
from xai_eval.store.lock import LOCK_FILE, locked, this_process
from xai_eval.store.made_from import MADE_FROM_FILE
from xai_eval.store.noise import NOISE_FILE
from xai_eval.store.quarantine import QUARANTINE_FILE
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RESULTS_FOLDER, RUN_FILE
from xai_eval.tasks.lime.chosen_setting import read_chosen_setting

_HALF, _LINKS = "half-done work", "links and special files"


def _at_every_write(work: Work, fails: Callable[[int], Failing], folder: Path) -> str | None:
    """Let the n-th write fail, for every n until the work gets by without; each time in a new copy of the folder."""
    template = folder / "template"
    prepare(template)
    for at in itertools.count(1):
        place = folder / "place"
        shutil.copytree(template, place)
        with inside(place):
            disk = fails(at)
            wrong = _failed_once(work, disk, place)
        if wrong:
            return f"{wrong}, after write {at}"
        shutil.rmtree(place)
        if not disk.reached:
            return None if at > 1 else "nothing was written"
    return None


def _failed_once(work: Work, disk: Failing, place: Path) -> str | None:
    said = ""
    try:
        with failing(disk):
            work.do(place)
    except XaiEvalError as error:
        said = str(error)
    except BaseException:
        # Whatever a command makes of it: a killed process would not have come so far.
        if disk.error is not Killed or not disk.reached:
            raise
    bury(place)
    # A traceback is no answer: anything else is raised here and fails the test.
    wrong = work.sound(place)
    if wrong:
        return f"{wrong} ({said})"
    if work.says and not said and disk.error is not Killed and not work.finished(place):
        return "it said nothing, but did not finish"
    work.do(place)
    if not work.finished(place):
        return "the next one does not finish it"
    left = hidden(place)
    return f"the next one leaves {left}" if left else work.sound(place)


class Hung(BaseException):
    """A command that waits for what never comes."""


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """End with `Hung` what waits for ever, and not what a slow machine is still at."""

    def ring(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(300)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _repository(folder: Path) -> Path:
    """Goldens and a run, beside a folder of somebody else, which is returned."""
    prepare(folder)
    other = folder / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("ten years of work")
    return other


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _try(*words: str) -> str:
    """Call a command; return what it refuses with."""
    try:
        cli(*words)
    except XaiEvalError as error:
        return str(error)
    return ""


COMMANDS = (("accept", "--all", "--reason", "x"), ("prune",), ("report",), ("check",), ("log", NAMES[0]))


def _moved_behind_a_link(linked: str, folder: Path) -> str | None:
    """The link leads out of the folder: what lies there is neither written nor deleted by any command."""
    other = _repository(folder)
    place = folder / linked
    if place.exists():
        place.rename(other / place.name)
    else:
        (other / place.name).mkdir()
        (other / place.name / "mine.csv").write_text("1")
        (other / place.name / "vis.png").write_text("2")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(other / place.name, target_is_directory=True)
    before = _content(other)
    with inside(folder):
        said = [_try(*words) for words in COMMANDS]
        for act in (obtain, save_again, calibrate):
            with contextlib.suppress(XaiEvalError):
                act(folder)
    with contextlib.suppress(XaiEvalError):
        said += [each.sentence for each in judge_run(folder / "reports", goldens_in(folder)).verdicts]
    if _content(other) != before:
        return f"written or deleted through the link: {set(_content(other).items()) ^ set(before.items())}"
    if not place.is_symlink():
        return "the link is gone"
    return None if any("link" in each for each in said) else f"nobody says that it is a link: {said}"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with inside(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _sparse(path: Path) -> None:
    """A terabyte that takes no place on the disk."""
    with path.open("wb") as file:
        file.truncate(2**40)


def _secret(path: Path) -> None:
    secret = path.parents[-2] / "secret" if len(path.parents) > 1 else path
    secret = Path(str(path) + ".secret")
    secret.write_text(f"{{{SECRET}")
    path.symlink_to(secret)


SECRET = "SECRET=4711"
SPECIAL = {
    "a FIFO": _fifo,
    "a link to /dev/zero": _zero,
    "a socket": _socket,
    "a folder": _folder,
    "a link to itself": _loop,
    "a terabyte": _sparse,
    "a link to a secret": _secret,
}
_CASE = explained(NAMES[0], 0).case.key
STORED = (
    f"golden/{_CASE}/{RESULT_FILE}",
    f"golden/{_CASE}/{ARRAYS_FILE}",
    f"golden/{_CASE}/{HISTORY_FILE}",
    f"golden/{_CASE}/{NOISE_FILE}",
    f"golden/{QUARANTINE_FILE}",
    f"golden/{LOCK_FILE}",
    f"reports/{RUN_FILE}",
    f"reports/{RESULTS_FOLDER}/{_CASE}/{RESULT_FILE}",
    f"reports/{RESULTS_FOLDER}/{_CASE}/{ARRAYS_FILE}",
    f"reports/{RESULTS_FOLDER}/{_CASE}/{MADE_FROM_FILE}",
    f"reports/{LOCK_FILE}",
    "reports/verdicts.json",
    "reports/index.html",
    "xai_eval.toml",
    "pyproject.toml",
)


def _in_place_of(stored: str, folder: Path) -> str | None:
    """Each kind of special file in the place of a stored one: every command ends, soon, and with a sentence."""
    template = folder / "template"
    prepare(template)
    for name, make in SPECIAL.items():
        place = folder / "place"
        shutil.copytree(template, place)
        (place / stored).unlink(missing_ok=True)
        make(place / stored)
        with inside(place):
            for words in COMMANDS:
                try:
                    with _ending():
                        said = _try(*words)
                except Hung:
                    return f"{name}: {words[0]} hangs"
                if SECRET in said:
                    return f"{name}: {words[0]} tells what is in it: {said}"
        told = "".join(
            p.read_text(errors="replace") for p in place.rglob("*.html") if p.is_file() and not p.is_symlink()
        )
        if SECRET in told:
            return f"{name}: the page tells what is in it"
        shutil.rmtree(place)
    return None


def _inputs(folder: Path) -> str | None:
    """What readers of inputs open: images, lists of classes and concepts, tables, weights."""
    readers: dict[str, Callable[[Path], object]] = {
        "image": decode,
        "concepts": lambda path: load_concepts(str(path)),
        "weights": read_checkpoint,
        "safetensors": read_safetensors,
        "setting": read_chosen_setting,
    }
    for (what, read), (name, make) in itertools.product(readers.items(), SPECIAL.items()):
        if name == "a link to a secret":
            continue  # whoever names a file of his own may name a link
        path = folder / f"{what}.png"
        make(path)
        try:
            with _ending():
                read(path)
        except XaiEvalError:
            pass
        except Hung:
            return f"{name} as {what}: it hangs"
        else:
            return f"{name} as {what}: it is read"
        path.rmdir() if name == "a folder" else path.unlink()
    return None


def _leftovers_that_are_links(folder: Path) -> str | None:
    """Hidden names as killed processes leave them, but links to a folder and a file of somebody else."""
    other = _repository(folder)
    case = folder / "golden" / _CASE
    (case.parent / f".{case.name}.abcd1234").symlink_to(other, target_is_directory=True)
    (case / f".{RESULT_FILE}.abcd1234").symlink_to(other / "thesis.txt")
    (case / f".{ARRAYS_FILE}.abcd1234").symlink_to("/dev/zero")
    (folder / "reports" / ".tables.abcd1234").symlink_to(other, target_is_directory=True)
    before = _content(other)
    with inside(folder), _ending():
        for words in COMMANDS:
            _try(*words)
    return None if _content(other) == before else "deleted through a link"


def _forged_list(folder: Path) -> str | None:
    """An earlier report that claims files of somebody else."""
    other = _repository(folder)
    names = [
        "../precious/thesis.txt",
        "figures/../../precious/thesis.txt",
        str(other / "thesis.txt"),
        3,
        None,
        "tables/a.csv\n",
    ]
    (folder / "reports" / "verdicts.json").write_text(json.dumps({"files": names}))
    (folder / "reports" / "index.html").write_text("")
    with inside(folder):
        _try("report")
    return None if (other / "thesis.txt").exists() else "a file of somebody else was deleted"


def _case_outside(folder: Path) -> str | None:
    """A task whose name leads out of the folder."""
    _repository(folder)
    for key in ("../precious", "../../precious", "/tmp", ".", ""):
        result = make_result("0.jpg", task=key)
        for act in (
            lambda each=result: goldens_in(folder).store(each, "x"),
            lambda each=result: RunFolder(folder / "reports").save(each),
        ):
            with contextlib.suppress(XaiEvalError):
                place = act()
                if not place.resolve().is_relative_to(
                    (folder / "golden").resolve()
                ) and not place.resolve().is_relative_to((folder / "reports").resolve()):
                    return f"{key!r} wrote to {place}"
    return None


def _reserved_names(folder: Path) -> str | None:
    """Tasks with names that Windows cannot have: refused on every system, so that no golden is lost there."""
    for name in (
        "con",
        "NUL",
        "aux.x",
        "Com1",
        "lpt9",
        "a:b",
        "a?",
        "a*",
        "a|b",
        "a\\b",
        "end.",
        "end ",
        "a\nb",
        "x" * 300,
    ):
        try:
            goldens_in(folder).store(make_result("0.jpg", task=name), "x")
        except XaiEvalError as error:
            if "cannot be the name of a folder on every system; choose another name" not in str(error):
                return f"{name!r}: {error}"
        else:
            return f"{name!r} is written"
    for name in ("console", "my task", "aux_", "ünï", "a.b"):
        goldens_in(folder).store(make_result("0.jpg", task=name), "x")
    return None if len(goldens_in(folder).load_all()[0]) == 5 else "a usual name is refused"


def _other_capitals(folder: Path) -> str | None:
    """The folder of a task has other capitals than its name, as where a file system does not tell them apart."""
    goldens = goldens_in(folder)
    case = explained(NAMES[0], 0).case
    goldens.store(explained(NAMES[0], 0), "x")
    (folder / "golden" / "cams").rename(folder / "golden" / "Cams")
    found, errors = goldens.load_all()
    return None if not found and "renamed" in str(errors[f"Cams/{case.id}"]) else f"{found}"


def _locks(folder: Path) -> str | None:
    """Locks that nobody holds any more are taken over; those that somebody may hold are respected."""
    mine = this_process().split()
    started = subprocess.Popen([sys.executable, "-c", ""])
    zombie = f"{started.pid} {mine[1]} 1"
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    lock, free = (
        folder / LOCK_FILE,
        {
            "of another process that had this id": f"{os.getppid()} {mine[1]} 1",
            "of a process that ended and is still listed": zombie,
            "empty for long": "",
        },
    )
    for name, content in free.items():
        lock.write_text(content)
        if not content:
            os.utime(lock, (time.time() - 60, time.time() - 60))
        try:
            with locked(folder):
                pass
        except XaiEvalError as error:
            return f"{name}: {error}"
    started.wait()
    for content in (
        f"{os.getppid()} elsewhere 1",
        f"{os.getppid()} {mine[1]}",
        "\x1b[2J::error::pwned",
        "1 " * 10**6,
        "\x00",
    ):
        lock.write_text(content)
        try:
            with locked(folder):
                return f"{content[:20]!r} is not respected"
        except XaiEvalError as error:
            if not str(error).isprintable() or "pwned" in str(error) or len(str(error)) > 1000:
                return f"{content[:20]!r} is shown: {error}"
    return None


def _without(names: tuple[str, ...], folder: Path) -> str | None:
    """A file system that has no links, no permissions or no way to wait for the disk: writing goes on."""
    for code in (errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
        place = folder / str(code)
        with contextlib.ExitStack() as stack:
            for name in names:
                refused = mock.Mock(side_effect=OSError(code, os.strerror(code)))
                if name == "fsync" and code == errno.EPERM:
                    continue
                stack.enter_context(mock.patch.object(os, name, refused))
            for version in (0, 1):
                goldens = goldens_in(place)
                with goldens.locked():
                    goldens.store(explained(NAMES[0], version), "x")
                check_first_received(place / f"{version}.pt", "a" * 64, "weights")
        if hidden(place):
            return f"left: {hidden(place)}"
        wrong = [each for each in place.rglob("*") if not each.stat().st_mode & 0o400]
        if (
            wrong
            or goldens_in(place).load(explained(NAMES[0], 0).case).digest != explained(NAMES[0], 1).condensed().digest
        ):
            return "it was not written"
    return None


def _as_on_windows(folder: Path) -> str | None:
    """Without the flags that Windows lacks, special files are refused all the same."""
    with mock.patch.object(door, "_FLAGS", os.O_RDONLY), mock.patch.object(door, "_NOFOLLOW", 0):
        for name, make in SPECIAL.items():
            path = folder / "file"
            make(path)
            try:
                with _ending():
                    door.read_bytes(path)
            except OSError:
                pass
            except Hung:
                return f"{name}: it hangs"
            else:
                return f"{name}: it is read"
            path.rmdir() if name == "a folder" else path.unlink()
    return None


def _changed_between(folder: Path) -> str | None:
    """A file that becomes a link or a FIFO after it was looked at and before it is opened."""
    path, opens = folder / "file", os.open

    def swapped(make: Callable[[Path], None], target: Path, *args: int) -> int:
        path.unlink()
        make(path)
        return opens(target, *args)

    for name in ("a FIFO", "a link to a secret", "a link to /dev/zero", "a folder"):
        path.write_text("innocent")
        with mock.patch.object(os, "open", partial(swapped, SPECIAL[name])):
            try:
                with _ending():
                    door.read_bytes(path, 1000)
            except OSError:
                pass
            except Hung:
                return f"{name}: it hangs"
            else:
                return f"{name}: it is read"
        path.rmdir() if name == "a folder" else path.unlink()
    return None


def _stray(folder: Path) -> str | None:
    """What systems leave in every folder, files and folders: no command minds, and nothing of it is deleted."""
    prepare(folder)
    made = []
    for place in [folder / "golden", folder / "reports" / RESULTS_FOLDER]:
        for each in [place, *(below for below in place.rglob("*") if below.is_dir())]:
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._x", "result.json~", ".result.json.swp"):
                (each / name).write_text("x")
            for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN"):
                (each / name).mkdir()
                (each / name / "x").write_text("x")
                made.append(each / name / "x")
    with inside(folder):
        said = [_try(*words) for words in COMMANDS]
        obtain(folder)
        check = judge_run(folder / "reports", goldens_in(folder))
    kept = [path for path in made if path.parents[1] in (folder / "golden", folder / "golden" / "cams")]
    if any(said) or check.broken or any(v.state is State.ERROR for v in check.verdicts):
        return f"{said} {[v.sentence for v in check.verdicts]}"
    return None if all(path.exists() for path in kept) else "something of it was deleted"


def _memory(folder: Path) -> str | None:
    """Goldens and results are in memory two at a time, also after errors, and those of other tasks are not read."""
    goldens, alive, most, read = goldens_in(folder), [], 0, []
    results = [make_result(f"{number}.jpg", saliency=blob(8, 8 + number, size=32, width=8)) for number in range(8)]
    for result in results:
        goldens.store(result, "x")
        goldens.store(make_result(result.case.input.split("/")[1], saliency=blob(9, 9, size=32), task="lime"), "x")
    write_run(folder, *results)
    for number in (2, 3):  # damaged, so that everything is read once more
        path = folder / "golden" / results[number].case.key / ARRAYS_FILE
        path.write_bytes(path.read_bytes()[:-9])

    def counted(place: Path, document: object) -> object:
        nonlocal most
        read.append(place)
        found = read_arrays(place, document)
        alive[:] = [each for each in alive if each() is not None]
        # The sketch of a stage is kept as it is read, so it stands for the whole file.
        alive.append(weakref.ref(next(array for name, array in found.items() if name.startswith("stage."))))
        most = max(most, len(alive))
        return found

    with (
        mock.patch("xai_eval.store.lazy.read_arrays", counted),
        mock.patch("xai_eval.result.result.read_arrays", counted),
    ):
        judged = judge_run(folder / "reports", goldens)
    if sum(each.state is State.ERROR for each in judged.verdicts) != 2:
        return f"{[each.sentence for each in judged.verdicts]}"
    if any(place.parent.name == "lime" for place in read):
        return "goldens of another task are read"
    return None if most <= 5 else f"{most} of {len(results) * 2} are in memory at once"


_FORK = multiprocessing.get_context("fork")
_REFUSED, _RAISED = 3, 4


def _in_a_child(work: Work, place: Path) -> multiprocessing.process.BaseProcess:
    """Do the work in a process of its own; its exit code says whether it was refused, or raised."""

    def do() -> None:
        os.chdir(place)
        try:
            work.do(place)
        except XaiEvalError:  # who is at it, or that the run is not finished
            os._exit(_REFUSED)
        except BaseException:
            traceback.print_exc()
            os._exit(_RAISED)
        os._exit(0)

    child = _FORK.Process(target=do)
    child.start()
    return child


def _in(work: Work, place: Path) -> None:
    with inside(place):
        work.do(place)


def _two_at_once(folder: Path) -> str | None:
    """Every command beside every other one, and beside itself: each ends, or is told who is at it."""
    alone = ("init", "first received")  # they write files that no other command touches
    pairs = itertools.combinations_with_replacement([name for name in WORKS if name not in alone], 2)
    prepare(folder / "template")
    for first, second in (*pairs, *((name, name) for name in alone)):
        place = folder / "place"
        shutil.copytree(folder / "template", place)
        children = [_in_a_child(WORKS[name], place) for name in (first, second)]
        for child in children:
            child.join()
        codes = [child.exitcode for child in children]
        if not set(codes) <= {0, _REFUSED} or codes == [_REFUSED, _REFUSED]:
            return f"{first} and {second} ended with {codes}"
        with inside(place):
            for name in (first, second):
                wrong = WORKS[name].sound(place)
                if wrong:
                    return f"{first} and {second}: {wrong}"
            if hidden(place) or any(place.rglob(LOCK_FILE)):
                return f"{first} and {second} leave {hidden(place)}"
        shutil.rmtree(place)
    return None


def _killed(name: str, folder: Path) -> str | None:
    """SIGKILL at seeded moments, spread over the calls of the command that change files."""
    work = WORKS[name]
    prepare(folder / "template")
    counted = [folder / "first", folder / "second"]
    for each in counted:
        shutil.copytree(folder / "template", each)
    for number, moment in enumerate(moments(*(partial(_in, work, each) for each in counted), _KILLS, seed=name)):
        place = folder / f"place {number}"
        shutil.copytree(folder / "template", place)
        kill(partial(_in, work, place), moment)
        with inside(place):
            wrong = work.sound(place)
            if wrong:
                return wrong
            work.do(place)
            if not work.finished(place) or hidden(place):
                return f"the next one does not finish, or leaves {hidden(place)}"
    return None


# KILLS=100 tries as many moments of each command.
_KILLS = int(os.environ.get("KILLS", "6"))
ATTACKS = (
    *(
        Attack(
            f"{linked} is a link",
            _LINKS,
            "nothing is written or deleted through it",
            partial(_moved_behind_a_link, linked),
            slow=True,
        )
        for linked in (
            "golden/cams",
            f"golden/{_CASE}",
            "reports/tables",
            "reports/figures",
            f"reports/{RESULTS_FOLDER}",
            f"reports/{RESULTS_FOLDER}/cams",
            f"reports/{RESULTS_FOLDER}/{_CASE}",
        )
    ),
    *(
        Attack(
            f"special files as {stored}",
            _LINKS,
            "every command ends with a sentence",
            partial(_in_place_of, stored),
            slow=True,
        )
        for stored in STORED
    ),
    Attack("special files as inputs", _LINKS, "an error that names the file", _inputs, slow=True),
    Attack(
        "hidden leftovers that are links",
        _LINKS,
        "nothing is deleted through them",
        _leftovers_that_are_links,
        slow=True,
    ),
    Attack("a report that claims files of others", _LINKS, "only files of reports are removed", _forged_list),
    Attack("a task named like a path", _LINKS, "nothing is written outside", _case_outside),
    Attack("special files without the flags of POSIX", _LINKS, "they are refused", _as_on_windows),
    Attack("a file that changes after it was looked at", _LINKS, "what is open is what was checked", _changed_between),
    Attack("locks that nobody holds, and others", _HALF, "taken over, or respected and never shown", _locks, slow=True),
    Attack("two of every command at once", _HALF, "one waits for the other", _two_at_once, slow=True),
    *(
        Attack(f"{name} is killed", _HALF, "old or new, whole", partial(_killed, name), slow=True)
        for name in ("accept", "prune", "report", "run", "calibrate", "init")
    ),
    Attack("a file system without fsync", _HALF, "writing goes on", partial(_without, ("fsync",))),
    Attack(
        "a file system without links and permissions", _HALF, "writing goes on", partial(_without, ("link", "chmod"))
    ),
    Attack("names that Windows cannot have", "names", "refused with the name", _reserved_names),
    Attack("a folder with other capitals", "names", "an error", _other_capitals),
    Attack("what systems leave in folders", "names", "no command minds it", _stray, slow=True),
    Attack("many goldens, some damaged", "cost", "few are in memory at once", _memory),
    *(
        Attack(
            f"{failure} at every write of {name}",
            _HALF,
            "old or new, whole, and the next one goes on and clears what was left",
            partial(_at_every_write, work, fails),
            slow=True,
        )
        for name, work in WORKS.items()
        for failure, fails in FAILURES.items()
    ),
)
