"""The demonstration as a process: it plays to the end and leaves nothing running."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openpyxl import load_workbook

from hub.demo.processes import free_port
from tests.cli.processes import COMMAND, environment
from tests.mappings.build import DATA


@contextmanager
def playing(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*COMMAND, "demo", *options],
        cwd=folder,
        # What is set around it changes nothing.
        env={**environment(worker="false", base_url="x"), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ports(printed: str) -> set[int]:
    return {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)/", printed)}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def personal_words() -> set[str]:
    """Names, addresses, telephone numbers of the sheets that the story sends."""
    text = (DATA / "yoshiki1_wide_cp932.csv").read_bytes().decode("cp932")
    cells = {cell for line in text.splitlines()[1:] for cell in line.split(",")}
    sheet = load_workbook(DATA / "yoshiki1_layout.xlsx").worksheets[0]
    cells |= {str(v) for row in sheet.iter_rows(values_only=True) for v in row if v}
    return {c for c in cells if re.search("試験|架空.*[町番]|0000", c) and len(c) > 3}


def test_the_story_is_played_to_its_end_and_tells_no_name_in_its_logs(tmp_path: Path):
    with playing(tmp_path, "--once") as process:
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    last = printed.rpartition("病院から見た状態")[2]
    assert "支援中（面接済）" in last
    assert "保存なし・案内のみ" in last
    assert max(len(line) for line in printed.splitlines()) <= 100
    assert len(ports(printed)) == 3
    assert all(map(is_free, ports(printed)))
    (folder,) = tmp_path.glob("tsunagi-demo-*")
    logs = {path.name: path.read_text() for path in folder.glob("*.log")}
    assert logs.keys() >= {"hub.log", "hospital.log", "centre.log"}
    words = personal_words()
    assert len(words) > 5
    for name, log in logs.items():
        assert 'File "' not in log, name  # of a traceback
        assert [w for w in words if w in log] == [], name
    assert len(list((folder / "reports").rglob("*.pdf"))) == 2


def test_ctrl_c_ends_the_hub_and_both_stand_ins(tmp_path: Path):
    port = free_port()
    with playing(tmp_path, "--lang", "en", "--port", str(port)) as process:
        printed = ""
        assert process.stdout
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        assert port in ports(printed)
        assert not any(map(is_free, ports(printed)))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0, printed
    assert all(map(is_free, ports(printed)))


def test_a_stop_in_the_middle_leaves_nothing_running(tmp_path: Path):
    port = free_port()
    with playing(tmp_path, "--once", "--port", str(port)) as process:
        assert process.stdout
        for line in process.stdout:
            if "43" in line:  # the hub answers, the stand-ins are being started
                break
        assert not is_free(port)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert is_free(port)
