"""A layer says nothing of the machine that made it."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from image import layers


def tree(folder: Path) -> Path:
    (folder / "usr" / "bin").mkdir(parents=True)
    (folder / "tmp").mkdir()
    (folder / "usr" / "bin" / "tool").write_text("#!")
    (folder / "usr" / "bin" / "tool").chmod(0o700)
    (folder / "usr" / "note").write_text("x")
    (folder / "usr" / "note").chmod(0o600)
    (folder / "bin").symlink_to("usr/bin")
    return folder


def members(layer: layers.Layer) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer.data))) as archive:
        return archive.getmembers()


def test_it_is_sorted_roots_and_of_one_time(tmp_path: Path) -> None:
    found = members(layers.pack(tree(tmp_path), 86400))
    assert [(m.name, m.mode) for m in found] == [
        ("bin", 0o777),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/bin/tool", 0o755),
        ("usr/note", 0o644),
    ]
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in found} == {(0, 0, "", 86400)}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one"), tree(tmp_path / "other")
    os.utime(other / "usr" / "note", (1, 1))
    (other / "usr").chmod(0o700)
    assert layers.pack(one, 0) == layers.pack(other, 0)
    (other / "usr" / "note").write_text("y")
    assert layers.pack(one, 0).digest != layers.pack(other, 0).digest


def test_the_two_digests_are_of_what_is_sent_and_of_what_it_unpacks_to(tmp_path: Path) -> None:
    layer = layers.pack(tree(tmp_path), 0)
    whole = subprocess.run(["sha256sum"], input=gzip.decompress(layer.data), capture_output=True, check=True)  # fmt: skip
    sent = subprocess.run(["sha256sum"], input=layer.data, capture_output=True, check=True)
    assert layer.diff_id == f"sha256:{whole.stdout.split()[0].decode()}"
    assert layer.digest == f"sha256:{sent.stdout.split()[0].decode()}"


def test_compiled_modules_know_their_place_in_the_image_and_not_here(tmp_path: Path) -> None:
    for name in ("one", "other"):
        module = tmp_path / name / "usr" / "lib" / "module.py"
        module.parent.mkdir(parents=True)
        module.write_text("A = {'x', 'y', 'z'}\ndef f(): return A | {1, 2}\n")
        os.utime(module, (len(name), len(name)))
        layers.compile_python(tmp_path / name, [sys.executable])
    one, other = (next(tmp_path.glob(f"{n}/**/*.pyc")).read_bytes() for n in ("one", "other"))
    assert one == other
    assert b"/usr/lib/module.py" in one
    assert str(tmp_path).encode() not in one
    assert one[4:8] == b"\x01\x00\x00\x00"  # PEP 552: by hash, and not looked up


def test_a_command_runs_its_module_and_nothing_of_the_working_directory(tmp_path: Path) -> None:
    layers.command(tmp_path, "tool", "module")
    file = tmp_path / "usr" / "local" / "bin" / "tool"
    first, *code = file.read_text().splitlines()
    assert first == "#!/usr/bin/python3.11 -IB"
    (tmp_path / "module.py").write_text("def main(): print('ran'); return 3\n")
    line = [sys.executable, "-c", "\n".join(code)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "ran\n")


def wheel(folder: Path, tag: str) -> Path:
    file = folder / f"thing-1-{tag}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("thing/__init__.py", "")
        archive.writestr("thing/tests/__init__.py", "")
        archive.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")  # fmt: skip
        archive.writestr("thing-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")  # fmt: skip
        archive.writestr("thing-1.dist-info/entry_points.txt", "[console_scripts]\nthing=thing:f\n")
        archive.writestr("thing-1.dist-info/RECORD", "")
    return file


@pytest.mark.parametrize("tag", ["cp311-cp311-manylinux_2_28_aarch64", "cp311-cp311-linux_aarch64"])
def test_wheels_of_another_architecture_are_unpacked_without_their_tests(
    tmp_path: Path, tag: str
) -> None:
    layers.wheels(tmp_path / "layer", "arm64", wheel(tmp_path, tag))
    site = tmp_path / "layer" / layers.SITE
    found = {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}
    assert "thing/__init__.py" in found
    assert "thing-1.dist-info/METADATA" in found
    assert not [n for n in found if "tests" in n or n.endswith(("direct_url.json", "REQUESTED"))]
    listed = (site / "thing-1.dist-info" / "RECORD").read_text().splitlines()
    assert {line.split(",")[0] for line in listed} == found  # no script of this machine's


def test_a_wheel_of_the_wrong_architecture_is_refused(tmp_path: Path) -> None:
    other = wheel(tmp_path, "cp311-cp311-linux_x86_64")
    with pytest.raises(subprocess.CalledProcessError):
        layers.wheels(tmp_path / "layer", "arm64", other)
